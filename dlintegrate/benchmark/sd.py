"""Itinerant magnet: exact fields of electrons, fewer of them, shorter series, and networks.

The exact field is diagonalised on 12² and averaged over periodic and antiperiodic boundaries: that
is what ``sd-torque`` was trained to give.
"""

import time
from copy import deepcopy
from functools import cache

import xarray as xr

from .. import integrators as classical
from ..correctors import EquivariantTorque, FieldTraining, SeriesTorque
from ..integrators import CorrectedIntegrator, MultipleTimeStep
from ..integrators.base import Integrator
from ..systems import ExactDiagonalization, KernelPolynomial, TriangularSDModel, skyrmion_lattice
from .case import Case, Fit, Learned, Method, n_samples_of
from .predictions import at_rest, frozen_field

SIDE = 12
HORIZON = 20.0
#: Fields of periodic and antiperiodic boundaries; what a learned field knows is their mean.
N_TWISTS = 2
#: Moments of the labels that ``sd-torque`` was trained with.
LABEL_MOMENTS = 160
NAME = "sd-torque"


def sd(full=False):
    """The case.

    Parameters
    ----------
    full : bool, default False
        More samples, and a lattice of 12 × 24 beside 12².

    Returns
    -------
    Case
    """
    exact = model()
    n, epochs = (4, 300) if full else (2, 150)

    def judged(dt, field):
        return JudgedByExact(exact, classical.RungeKutta4(field, dt))

    def fitted(corrector):
        known = {}

        def fit(dt, train, seed):
            if seed not in known:  # the same field at every step
                known[seed] = _fitted_field(exact, corrector, train, seed)
            field, labels, training = known[seed]
            return Fit(judged(dt, field), labels, training)

        return fit

    shallow = EquivariantTorque(  # an exchange for each distance, and gates at the site
        n_vectors=4, n_directed=0, depth=0, precision="double",
        training=FieldTraining(epochs=epochs, batch_size=4, learning_rate=0.01),
    )  # fmt: skip
    methods = (
        *(_steps(*entry, exact) for entry in (
            ("SemiImplicitB", (20.0, 10.0, 5.0), {"drop_longitudinal": True}),
            ("RungeKutta4", (20.0, 10.0, 5.0), {}),
            ("DampedMidpoint", (10.0,), {"tol": 1e-4}),
        )),
        *(_shorter_series(k, exact) for k in (12, 16, 20, 28, 40, 60)),
        Learned("network without blocks", (20.0, 10.0), fitted(shallow)),
        *(
            Learned(f"SeriesTorque, {k} moments", (20.0, 10.0), fitted(SeriesTorque(k, reach)))
            for k, reach in ((16, 9), (32, 12))
        ),
        *(
            Learned(f"{name} (pretrained)", (20.0, 10.0), _pretrained(name, judged))
            for name in (NAME, f"{NAME}-fast")
        ),
        *(
            Learned(f"MultipleTimeStep, {k} exact fields", dts, _pretrained(
                NAME, lambda dt, field, k=k: MultipleTimeStep(
                    classical.SemiImplicitB(exact, dt), field, max(1, round(dt / 5)), k)))
            for k, dts in ((2, (20.0, 10.0)), (3, (20.0,)), (4, (20.0,)))
        ),
    )  # fmt: skip
    return Case(
        name="sd",
        title=f"s-d model on the triangular lattice, {SIDE}² spins, no damping",
        horizon=HORIZON,
        methods=methods,
        train=lambda seed: _states(relaxed((SIDE, SIDE), 12, 1000 + seed)),
        test=lambda seed: {
            f"{SIDE}²": _states(relaxed((SIDE, SIDE), n, seed)),
            "skyrmion lattice": _states(
                skyrmion_lattice((SIDE, SIDE), perturbation=0.3, random_state=seed)
            ),
            **({f"{SIDE} × {2 * SIDE}": _states(relaxed((SIDE, 2 * SIDE), 1, seed))}
               if full else {}),
        },
        reference=lambda dt: classical.RungeKutta4(exact, 2.5),
        predictions={"spins at rest": at_rest, "each spin in a frozen field": frozen_field},
        reverse=lambda array: -array,
        long_time=1000.0 if full else 200.0,
        explosion=0.01,
        time_unit="1/t₁",
        n_long=2,
        run_seconds=6.0 if full else 0.5,
        cost_seconds=0.1 if full else 0.03,
    )  # fmt: skip


def model(shape=(SIDE, SIDE), solver=None):
    """The system without external field, so that reversed spins go back in time."""
    return TriangularSDModel(
        shape, field=(0.0, 0.0, 0.0), solver=solver or ExactDiagonalization(N_TWISTS)
    )


def relaxed(shape, n_samples, seed):
    """Random spins after damped motion for a while, in the field of a short series."""
    cheap = model(shape, KernelPolynomial(60))
    return classical.RungeKutta4(cheap, 5.0, 0.1).advance(cheap.random_states(n_samples, seed), 6)


def _states(array):
    dims = ("sample", *TriangularSDModel.state_dims)
    return xr.DataArray(array, dims=dims, name=TriangularSDModel.state_name)


class JudgedByExact(Integrator):
    """Steps in a cheap field; energies are those of the exact system.

    Parameters
    ----------
    system : TriangularSDModel
    inner : Integrator
        Of a system with the cheap field.
    """

    def __init__(self, system, inner):
        self.system = system
        self.inner = inner

    def __sklearn_clone__(self):
        return deepcopy(self)  # a fitted field is worth nothing without its fit

    @property
    def dt(self):
        """That of the steps."""
        return self.inner.dt

    @property
    def guarantees(self):
        """Those of the steps."""
        return self.inner.guarantees

    def with_dt(self, dt):
        """Return the same with another step."""
        return type(self)(self.system, self.inner.with_dt(dt))

    def advance(self, array, n_steps):
        """Steps in the cheap field; see :meth:`Integrator.advance`."""
        return self.inner.advance(array, n_steps)


def _steps(name, dts, options, system):
    return Method(name, dts, lambda dt: getattr(classical, name)(system, dt, **options))


def _shorter_series(n_moments, exact):
    """The fair rival of a learned field: a series that is as wrong."""
    cheap = model(solver=KernelPolynomial(n_moments, n_twists=N_TWISTS))
    return Method(
        f"RungeKutta4, {n_moments} moments", (20.0, 10.0),
        lambda dt: JudgedByExact(exact, classical.RungeKutta4(cheap, dt)), family="series",
    )  # fmt: skip


def _fitted_field(exact, corrector, train, seed):
    """A learned field; seconds of its labels and of its training."""
    fitted = CorrectedIntegrator(
        classical.SemiImplicitB(exact, HORIZON), corrector, random_state=seed, device="cpu"
    )
    labels = _seconds(exact, train.values[:1]) * len(train)
    started = time.process_time()
    fitted.fit(train)
    training = max(0.0, time.process_time() - started - labels)
    return fitted.corrector_.stand_in(exact), labels, training


def _seconds(system, array):
    """Processor time of a field that has been compiled on a small lattice."""
    small = system.resized((SIDE, SIDE, 3))
    small.field_of(small.random_states(1, 0))
    started = time.process_time()
    system.field_of(array)
    return time.process_time() - started


@cache
def _label_seconds():
    """Processor time of one label of the shipped fields, here."""
    large = model((24, 24), KernelPolynomial(LABEL_MOMENTS, n_twists=N_TWISTS))
    return _seconds(large, large.random_states(1, 0))


def _pretrained(name, make):
    """A step in a shipped field. Its labels cost what their number takes here."""
    from ..datasets import describe_pretrained, load_pretrained

    known = {}

    def fit(dt, train, seed):
        card = describe_pretrained(name)
        if not known:
            known["labels"] = n_samples_of(card) * _label_seconds()
            known["field"] = load_pretrained(name).corrector_.stand_in(model())
        return Fit(
            make(dt, known["field"]), known["labels"], float(card["processor_seconds"]), name
        )

    return fit
