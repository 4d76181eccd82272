"""Heisenberg spins: sublattice rotations and other classical methods, residues, compositions."""

from .. import integrators as classical
from ..correctors import ElementaryDifferentialResidue, LearnedComposition
from ..integrators import CorrectedIntegrator
from ..sampling import sample_canonical
from ..systems import HeisenbergLattice
from .case import Case, Learned, Method, fit_corrected, pretrained
from .predictions import at_rest, frozen_field

TRAINED = (0.6, 1.44, 2.3)
BETWEEN, BEYOND = 1.0, 4.0
HORIZON = 2.0
TRAIN_SIDE = 6
#: Names of methods of rotations, and numbers of half sweeps in one of their steps.
ROTATIONS = {"SuzukiTrotter2": 2, "SuzukiTrotter4": 10, "BlanesMoan4": 12, "BlanesMoan6": 20}
#: Half sweeps per unit of time that set the steps; a large and a small benchmark.
BUDGETS = {True: (15, 20, 30, 40, 60, 80, 120, 160, 240), False: (20, 40, 80, 160)}
#: Exact fields, or sweeps of a fixed-point iteration, make the others dear: their steps are these.
OTHERS = ("RungeKutta4", "SemiImplicitB", "ImplicitMidpoint")


def heisenberg(full=False):
    """The case.

    Parameters
    ----------
    full : bool, default False
        A lattice of 16³ instead of 8³, more samples and more fits.

    Returns
    -------
    Case
    """
    side, n = (16, 4) if full else (8, 4)
    system = HeisenbergLattice(side)

    def draw(side, temperatures, n_samples, seed):
        return sample_canonical(
            HeisenbergLattice(side), temperatures, n_samples, random_state=seed, n_jobs=1
        )

    def corrected(corrector, dt, base=classical.SuzukiTrotter2, **options):
        small = HeisenbergLattice(TRAIN_SIDE)
        return CorrectedIntegrator(
            base(small, dt), corrector, reference=classical.BlanesMoan6(small, dt / 5), n_jobs=1,
            **options,
        )  # fmt: skip

    def learned(name, dts, corrector, **options):
        return Learned(
            name, dts,
            lambda dt, train, seed: fit_corrected(corrected(corrector, dt, **options), train, seed),
        )  # fmt: skip

    def composition(stages, **options):
        return LearnedComposition(stages, max_iter=60 if full else 20, **options)

    rotations = [
        Method(
            name,
            tuple(dict.fromkeys(HORIZON / round(HORIZON * b / sweeps) for b in BUDGETS[full]
                                if b >= 1.5 * sweeps)),
            lambda dt, name=name: getattr(classical, name)(system, dt),
        )
        for name, sweeps in ROTATIONS.items()
    ]  # fmt: skip
    others = [
        Method(name, (0.1, 0.05, 0.025), lambda dt, name=name: getattr(classical, name)(system, dt))
        for name in OTHERS
    ]
    both = ("energy", "magnetization")
    methods = [
        *rotations,
        *others,
        learned("residue, order 3", (0.2, 0.1), ElementaryDifferentialResidue(3)),
        learned("residue, order 5", (0.2, 0.1), ElementaryDifferentialResidue(5)),
        learned("residue, order 5, projected", (0.1,), ElementaryDifferentialResidue(5),
                projection=both),
        learned("residue on Blanes-Moan", (0.4,), ElementaryDifferentialResidue(5, min_order=5),
                base=classical.BlanesMoan4),
        learned("composition, 6 stages", (0.4, 0.2, 0.1)[not full:], composition(6)),
        learned("composition, 10 stages", (0.5, 0.25)[not full:], composition(10)),
        learned("composition with processor", (0.4, 0.2)[not full:],
                composition(6, processor=True)),
        Learned("U-Net (pretrained)", (0.1,), pretrained("sublattice-unet")),
    ]  # fmt: skip
    return Case(
        name="heisenberg",
        title=f"Heisenberg ferromagnet, {side}³ spins, T = {', '.join(map(str, TRAINED))}",
        horizon=HORIZON,
        methods=tuple(methods),
        train=lambda seed: draw(TRAIN_SIDE, TRAINED, 12, 1000 + seed),
        test=lambda seed: {
            f"{side}³": draw(side, TRAINED, n, seed),
            f"T = {BETWEEN:g}": draw(side, BETWEEN, n, seed + 100),
            f"T = {BEYOND:g}": draw(side, BEYOND, n, seed + 200),
            f"{side + 8}³": draw(side + 8, TRAINED, 1, seed + 300),
        },
        reference=lambda dt: classical.BlanesMoan6(system, dt / max(1, round(dt / 0.02))),
        predictions={"spins at rest": at_rest, "each spin in a frozen field": frozen_field},
        reverse=lambda array: -array,
        long_time=400.0 if full else 100.0,
        explosion=0.1,
        run_seconds=3.0 if full else 0.3,
        cost_seconds=0.1 if full else 0.03,
    )
