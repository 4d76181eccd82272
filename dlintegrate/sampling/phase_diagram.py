"""The thermodynamic states of the paper's table of training data, and samples of them."""

import json
import numbers
from typing import NamedTuple

import numpy as np
import xarray as xr

from ..systems import LennardJones2D
from .canonical import child, positive_temperatures, sample_canonical, seed_sequence

#: Park 2022, table 5.2 (printed as Figure 5.2).
DENSITIES = (0.1, 0.14, 0.2, 0.27, 0.38)
#: Phase to its temperatures and the number of samples at each.
PHASES = {
    "gas+solid": ((0.27, 0.31, 0.35, 0.39), 15_000),
    "gas+liquid": ((0.43, 0.47, 0.51, 0.55), 15_000),
    "gas": ((0.59, 0.63, 0.67, 0.71), 30_000),
}
TEMPERATURES = tuple(t for temperatures, _ in PHASES.values() for t in temperatures)


class ParkState(NamedTuple):
    """One row of the table: a thermodynamic state and how many samples to draw of it."""

    density: float
    temperature: float
    phase: str
    n_samples: int
    n_particles: int

    @property
    def box_length(self):
        """Side of the box, in σ."""
        return float(np.sqrt(self.n_particles / self.density))

    @property
    def system(self):
        """The LennardJones2D of this density."""
        return LennardJones2D(n_particles=self.n_particles, density=self.density)


def park_states(n_particles=16, *, fraction=1.0):
    """Densities and temperatures of the paper's training set (Park 2022, table 5.2).

    Five densities times twelve temperatures; 15,000 samples at each of the eight
    lower temperatures and 30,000 at the four higher: 1,200,000 in all.

    Parameters
    ----------
    n_particles : int, default 16
    fraction : float, default 1.0
        Scales the numbers of samples, which are rounded up.

    Returns
    -------
    tuple of ParkState
        Named tuples ``(density, temperature, phase, n_samples, n_particles)``, by density,
        then temperature; ``pandas.DataFrame(park_states())`` is the table.

    Raises
    ------
    ValueError
        If ``fraction`` is not a positive finite number, or ``n_particles`` not an int
        of at least 2.

    Examples
    --------
    >>> from dlintegrate.sampling import park_states
    >>> states = park_states()
    >>> len(states), sum(state.n_samples for state in states)
    (60, 1200000)
    >>> states[0]
    ParkState(density=0.1, temperature=0.27, phase='gas+solid', n_samples=15000, n_particles=16)
    """
    if not (np.isscalar(fraction) and np.isfinite(fraction) and fraction > 0):
        raise ValueError(f"fraction={fraction!r}: expected a positive finite number, such as 0.01")
    n_particles = LennardJones2D(n_particles=n_particles).n_sites
    return tuple(
        ParkState(density, t, phase, int(np.ceil(count * fraction - 1e-9)), n_particles)
        for density in DENSITIES
        for phase, (temperatures, count) in PHASES.items()
        for t in temperatures
    )


def sample_park_states(
    n_samples_per_state=100, *, densities=DENSITIES, temperatures=TEMPERATURES, n_particles=16,
    n_sweeps=None, start="auto", random_state=None, n_jobs=None, progress=False,
):  # fmt: skip
    """Draw samples of every density at every temperature into one set (Park 2022, table 5.2).

    Parameters
    ----------
    n_samples_per_state : int, default 100
    densities, temperatures : sequence of floats
        By default the 5 and 12 of the table; any others may be given.
    n_particles : int, default 16
    n_sweeps, start
        As for :func:`sample_canonical`.
    random_state : int, SeedSequence, Generator, RandomState or None
        Seed; each density has a child of it.
    n_jobs, progress
        As for :func:`sample_canonical`.

    Returns
    -------
    xarray.DataArray
        ``("sample", "variable", "particle", "component")``, by density, then temperature,
        with the coordinates ``temperature``, ``density`` and ``box_length`` of each sample.
        Select by them: ``samples[samples.density == 0.2]``. Other sets, of the
        same number of particles, are appended by ``xarray.concat([...], "sample")``.

    Raises
    ------
    ValueError
        On bad parameters.

    Examples
    --------
    >>> from dlintegrate.sampling import sample_park_states
    >>> samples = sample_park_states(2, densities=[0.1, 0.38], temperatures=[0.71], random_state=0)
    >>> samples.shape, samples.density.values.tolist()
    ((4, 2, 16, 2), [0.1, 0.1, 0.38, 0.38])
    """
    temperatures = positive_temperatures(temperatures)
    systems = [LennardJones2D(n_particles, density) for density in _densities(densities)]
    root = seed_sequence(random_state)
    parts = [
        sample_canonical(
            system, temperatures, _number(n_samples_per_state), n_sweeps=n_sweeps, start=start,
            random_state=child(root, i), n_jobs=n_jobs, progress=progress,
        )
        for i, system in enumerate(systems)
    ]  # fmt: skip
    samples = xr.concat(parts, "sample")
    parameters = json.loads(parts[0].attrs["parameters"])
    parameters["system"]["density"] = [system.density for system in systems]
    return samples.assign_attrs(parts[0].attrs | {"parameters": json.dumps(parameters)})


def _densities(densities):
    try:
        values = np.atleast_1d(np.asarray(densities, dtype=np.float64))
    except (TypeError, ValueError):
        values = np.array([np.nan])
    if values.ndim != 1 or values.size == 0 or not (np.isfinite(values) & (values > 0)).all():
        raise ValueError(f"densities={densities!r}: expected positive finite numbers")
    return values.tolist()


def _number(n_samples):
    is_int = isinstance(n_samples, numbers.Integral) and not isinstance(n_samples, bool)
    if not is_int or n_samples < 1:
        raise ValueError(f"n_samples_per_state={n_samples!r}: expected a positive int")
    return int(n_samples)
