"""The Lennard-Jones fluid: splittings, effective forces, and forces without their networks."""

import numpy as np

from .. import integrators as classical
from ..correctors import CombinedForce, GraphForce, ManyBodyForce, PairwiseForce, RollOut
from ..integrators import CorrectedIntegrator, Fallback
from ..sampling import sample_park_states
from ..systems import LennardJones2D
from .case import NULL, Case, Learned, Method, fit_corrected, pretrained
from .predictions import at_rest

DENSITIES = (0.1, 0.2, 0.38)
TRAINED, BEYOND = (0.27, 0.47, 0.71), 1.2
DT, HORIZON = 0.1, 1.0
#: Steps per horizon of each splitting; the first ones are at the edge of what is stable.
STEPS = {
    "VelocityVerlet": (20, 30, 50, 100, 200, 400, 800),
    "PEFRL": (20, 30, 40, 60, 100),
    "BlanesMoanRKN4": (20, 25, 30, 40, 60, 100),
}
SUBSTEPS = {4: (20, 30, 50, 100), 10: (10, 20, 40, 80)}


def lennard_jones(full=False):
    """The case.

    Parameters
    ----------
    full : bool, default False
        More samples, longer training of the networks, and more of them.

    Returns
    -------
    Case
    """
    n, n_train, epochs = (20, 200, 100) if full else (4, 24, 30)
    system = LennardJones2D()

    def draw(n_samples, seed, temperatures=TRAINED, n_particles=16):
        return sample_park_states(
            n_samples, densities=DENSITIES, temperatures=temperatures, n_particles=n_particles,
            random_state=seed, n_jobs=1,
        )  # fmt: skip

    def corrected(corrector, dt, **options):
        return CorrectedIntegrator(
            classical.VelocityVerlet(system, dt), corrector, device="cpu", n_jobs=1,
            reference=classical.BlanesMoanRKN4(system, dt / 20), **options,
        )  # fmt: skip

    def network(name, make):
        training = RollOut(epochs=epochs, batch_size=64, learning_rate=3e-3)
        safe = {"projection": "energy", "fallback": Fallback()}
        return Learned(
            name, (DT,),
            lambda dt, train, seed: fit_corrected(
                corrected(make(training), dt, **safe), train, seed),
        )  # fmt: skip

    def mechanical(n_rounds):
        def make(dt):
            step = corrected(GraphForce(n_rounds, width=0), dt, projection="energy")
            return step.fit(system.random_states(2, 0))

        return Method(f"graph force without network, {n_rounds} rounds", (DT,), make, NULL)

    methods = [
        *(
            Method(
                name, tuple(HORIZON / k for k in steps),
                lambda dt, name=name: getattr(classical, name)(system, dt),
            )
            for name, steps in STEPS.items()
        ),
        *(
            Method(
                f"SubsteppedVerlet, {k} inner", tuple(HORIZON / s for s in steps),
                lambda dt, k=k: classical.SubsteppedVerlet(system, dt, n_inner=k),
            )
            for k, steps in SUBSTEPS.items()
        ),
        *map(mechanical, (1, 3, 4)),
        network("pair force", lambda t: PairwiseForce(equivariant=True, training=t)),
        Learned("graph force (pretrained)", (DT,), pretrained("lennard-jones-graph")),
    ]  # fmt: skip
    if full:
        methods += [
            network("many-body force", lambda t: ManyBodyForce(equivariant=True, training=t)),
            network("combined force", lambda t: CombinedForce(equivariant=True, training=t)),
        ]
    return Case(
        name="lennard-jones",
        title="Lennard-Jones fluid in two dimensions, 16 particles, "
        f"density {min(DENSITIES)} to {max(DENSITIES)}, T = {', '.join(map(str, TRAINED))}",
        horizon=HORIZON,
        methods=tuple(methods),
        train=lambda seed: draw(n_train, 1000 + seed),
        test=lambda seed: {
            "16 particles": draw(n, seed),
            f"T = {BEYOND:g}": draw(3 * n, seed + 100, (BEYOND,)),
            "64 particles": draw(1, seed + 200, n_particles=64),
        },
        # the force jumps at half of the box, so that no splitting converges faster than its step
        reference=lambda dt: classical.BlanesMoanRKN4(system, dt / round(dt / 0.0005)),
        predictions={"particles at rest": at_rest, "free flight": _free_flight},
        reverse=_reversed,
        long_time=100.0 if full else 20.0,
        explosion=0.5,
        site="particle",
        time_unit="σ(m/ε)^½",
        n_long=64 if full else 16,
        run_seconds=3.0 if full else 0.4,
        cost_seconds=0.1 if full else 0.03,
    )


def _free_flight(system, array, horizon):
    flown = array.copy()
    flown[:, 0, :-1] += horizon * array[:, 1, :-1]
    return flown


def _reversed(array):
    """The same positions, opposite momenta."""
    return array * np.array([1.0, -1.0])[:, None, None]
