"""Iron whose atoms move and whose moments precess: splittings, and an energy that is learned."""

import numpy as np
import xarray as xr

from .._units import BOLTZMANN
from ..correctors import LearnedPotential
from ..integrators import CorrectedIntegrator, SpinLatticeSplitting
from ..potentials import EquivariantSpinPotential
from ..systems import SpinLatticeCrystal
from .case import Case, Learned, Method, fit_corrected
from .predictions import at_rest

TRAINED, BEYOND = 300.0, 900.0
HORIZON = 40.0
#: Steps in fs of each way to turn the spins.
STEPS = {
    "bonds": (4.0, 2.0, 1.0, 0.5),
    "sites": (4.0, 2.0, 1.0, 0.5),
    "semi-implicit": (2.0, 1.0, 0.5),
    "midpoint": (4.0, 2.0, 1.0),
}
#: Of the fixed-point iteration: below every error here, and half of the iterations.
TOLERANCE = 1e-7
#: What counts as one unit of distance: Å; momentum and moment follow from temperature and iron.
DISPLACEMENT = 0.1


def crystal(full=False):
    """The case.

    Parameters
    ----------
    full : bool, default False
        More samples, and potentials learned from more frames.

    Returns
    -------
    Case
    """
    n, n_train = (4, 40) if full else (2, 12)
    iron = SpinLatticeCrystal(size=3)

    def learned(name, dts, spin_step, **options):
        def fit(dt, train, seed):
            potential = EquivariantSpinPotential(random_state=seed, **options)
            base = SpinLatticeSplitting(iron, dt, spin_step, tol=TOLERANCE)
            step = CorrectedIntegrator(base, LearnedPotential(potential), n_jobs=1)
            return fit_corrected(step, train, seed)

        return Learned(name, dts, fit)

    small = {"cutoff": 4.0, "n_basis": 8, "n_channels": 3}
    methods = (
        *(
            Method(
                f"splitting, {name}", dts,
                lambda dt, name=name: SpinLatticeSplitting(iron, dt, name, tol=TOLERANCE),
            )
            for name, dts in STEPS.items()
        ),
        learned("learned energy, midpoint", (2.0,), "midpoint", lmax=2, **small),
        learned("learned energy, semi-implicit", (1.0,), "semi-implicit", lmax=2, **small),
        learned("pairs alone, semi-implicit", (1.0,), "semi-implicit", lmax=0, **small),
    )  # fmt: skip
    momentum = np.sqrt(iron.masses[0] * BOLTZMANN * TRAINED)
    return Case(
        name="crystal",
        title=f"iron with moments that precess, {iron.n_sites} atoms, {TRAINED:g} K",
        horizon=HORIZON,
        methods=methods,
        train=lambda seed: thermal(iron, TRAINED, n_train, 1000 + seed),
        test=lambda seed: {
            f"{iron.n_sites} atoms": thermal(iron, TRAINED, n, seed),
            f"{BEYOND:g} K": thermal(iron, BEYOND, n // 2, seed + 100),
            "random moments": thermal(iron, TRAINED, n // 2, seed + 200, order=0.0, n_steps=0),
        },
        reference=lambda dt: SpinLatticeSplitting(iron, 0.05, "bonds"),
        predictions={"at rest": at_rest, "free flight": _free_flight},
        reverse=lambda array: array * np.array([1.0, -1.0, -1.0])[:, None, None],
        scale=np.array([DISPLACEMENT, momentum, iron.moments[0]])[:, None, None],
        long_time=10_000.0 if full else 2_000.0,
        explosion=0.1,
        site="atom",
        time_unit="fs",
        error_unit=f"{DISPLACEMENT:g} Å, thermal momentum, moment",
        n_long=4,
        run_seconds=4.0 if full else 1.0,
        cost_seconds=0.1 if full else 0.03,
    )


def thermal(iron, temperature, n_samples, seed, order=20.0, n_steps=250):
    """States after half a picosecond with thermostats, without total momentum."""
    thermostat = SpinLatticeSplitting(
        iron, 2.0, friction=0.02, damping=0.2, temperature=temperature, random_state=seed
    )
    states = thermostat.step(iron.random_states(n_samples, seed, order=order), n_steps)
    states[:, 1] -= states[:, 1].mean(axis=1, keepdims=True)
    return xr.DataArray(states, dims=("sample", *iron.state_dims), name=iron.state_name)


def _free_flight(system, array, horizon):
    flown = array.copy()
    flown[:, 0] += horizon * array[:, 1] / system.masses[:, None]
    return flown
