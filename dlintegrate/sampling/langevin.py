"""Thermal states of crystals by the Langevin dynamics of atoms and moments."""

import numbers

import joblib
import numpy as np
from tqdm.auto import tqdm

from .._parallel import in_order
from ..systems.atoms import MOMENTUM, AtomicSystem
from .canonical import _temperatures, child, seed_sequence, wrap_thermal

#: States are advanced together up to this number of atoms: a task takes seconds.
_TASK_ATOMS = 1024


def sample_langevin(
    system, temperature, n_samples, *, duration=2000.0, dt=2.0, friction=0.02, damping=0.2,
    spin_step="auto", start=None, random_state=None, n_jobs=None, progress=False,
):  # fmt: skip
    """Draw independent thermal states of a crystal, the ends of one thermostatted run for each.

    Parameters
    ----------
    system : AtomicSystem
        For instance :class:`SpinLatticeCrystal`.
    temperature : float or sequence of floats
        In K, of lattice and spins; all positive.
    n_samples : int or sequence of ints
        Samples per temperature; a sequence gives each temperature its own number.
    duration : float, default 2000.0
        Of each run, in fs. From the default start that suffices for small crystals of iron well
        below the Curie temperature; near it, and for the longest waves of large crystals, take
        more and compare energies with those of half the duration.
    dt : float, default 2.0
        In fs. The sampled temperatures are those of the thermostats up to an error of order dt².
    friction, damping : float, default 0.02 and 0.2
        Of lattice (1/fs) and spins; see :class:`SpinLatticeSplitting`.
    spin_step : str, default "auto"
        See :class:`SpinLatticeSplitting`.
    start : array-like, shape (n, 3, n_atoms, 3), optional
        First states: one, or one for each sample. By default atoms about their places and
        nearly parallel spins along a random direction. Give the order of the ground
        state where that is another.
    random_state : int, SeedSequence, Generator, RandomState or None
        Seed. Sample i depends on it, on i and on its temperature alone, not on ``n_jobs``.
    n_jobs : int, optional
        Threads, as in joblib.
    progress : bool, default False
        Show a progress bar.

    Returns
    -------
    xarray.DataArray, shape (n, 3, n_atoms, 3)
        Dimensions ``("sample", "variable", "atom", "component")``, coordinate
        ``temperature(sample)`` in K. The total momentum is zero.

    Raises
    ------
    ValueError
        On bad arguments, or if atoms meet or spins are lost on the way.
    TypeError
        If the system is not one of atoms.

    Examples
    --------
    >>> from dlintegrate import SpinLatticeCrystal, sample_langevin
    >>> iron = SpinLatticeCrystal(size=2)
    >>> states = sample_langevin(iron, [100.0, 500.0], 2, duration=100.0, random_state=0)
    >>> states.shape, states.temperature.values.tolist()
    ((4, 3, 16, 3), [100.0, 100.0, 500.0, 500.0])
    """
    if not isinstance(system, AtomicSystem):
        raise TypeError(
            f"system={system!r}: expected atoms, such as SpinLatticeCrystal; for spins and "
            "particles use sample_canonical"
        )
    temperatures = _temperatures(temperature, n_samples)
    for name, value in (("duration", duration), ("dt", dt)):
        if not isinstance(value, numbers.Real) or not 0 < value < np.inf:
            raise ValueError(f"{name}={value!r}: expected a positive number of fs")
    root = seed_sequence(random_state)
    states = _starts(system, start, len(temperatures), root)
    step = _thermostat(system, dt, friction, damping, spin_step, root)
    n_together = max(1, _TASK_ATOMS // system.n_sites)
    tasks = [
        chosen[i : i + n_together]
        for chosen in (np.flatnonzero(temperatures == t) for t in np.unique(temperatures))
        for i in range(0, len(chosen), n_together)
    ]
    n_steps = max(1, round(duration / dt))
    calls = (
        joblib.delayed(_run)(step, float(temperatures[task[0]]), states[task], n_steps)
        for task in tasks
    )
    drawn = in_order(calls, n_jobs, prefer="threads")
    with tqdm(total=len(states), desc="sampling", unit="sample", disable=not progress) as bar:
        for task, after in zip(tasks, drawn, strict=True):
            states[task] = after
            bar.update(len(task))
    if not system.healthy(states).all():
        raise ValueError(f"dt={dt}: atoms met or spins were lost on the way; use a smaller dt")
    parameters = {
        "method": "langevin", "duration": duration, "dt": dt, "friction": friction,
        "damping": damping, "spin_step": spin_step, "system": {"class": type(system).__name__},
    }  # fmt: skip
    scale = {"units": "K", "long_name": "temperature"}
    return wrap_thermal(system, states, temperatures, scale, system.state_coords, parameters)


def _thermostat(system, dt, friction, damping, spin_step, root):
    """The thermostatted step, checked; its noise is seeded by the root."""
    from ..integrators import SpinLatticeSplitting

    for name, value in (("friction", friction), ("damping", damping)):
        if not isinstance(value, numbers.Real) or not 0 < value < np.inf:
            raise ValueError(f"{name}={value!r}: expected a positive number; it is what heats")
    if not (system.moments > 0).any():
        damping = 0.0
    seed = int(root.generate_state(1)[0])
    return SpinLatticeSplitting(system, dt, spin_step, friction, damping, random_state=seed)


def _starts(system, start, n, root):
    """One first state for each sample; no two are alike, since noise is a function of the state."""
    rngs = [np.random.default_rng(child(root, i)) for i in range(n)]
    if start is None:
        return np.concatenate([system.random_states(1, rng, order=20.0) for rng in rngs])
    given = system.validate(start, "start")
    if len(given) not in (1, n):
        raise ValueError(
            f"start holds {len(given)} states for {n} samples; give one state, or one for each"
        )
    states = np.array(np.broadcast_to(given, (n, *given.shape[1:])))
    for state, rng in zip(states, rngs, strict=True):
        state[MOMENTUM] = system.thermal_momenta(1.0, 1, rng)[0]
    return states


def _run(step, temperature, states, n_steps):
    """End of the runs at one temperature, the drift of the whole removed."""
    own = type(step)(**{**step.get_params(deep=False), "temperature": temperature})
    states = own.advance(states, n_steps)
    momenta, masses = states[:, MOMENTUM], step.system.masses
    momenta -= (masses / masses.sum())[:, None] * momenta.sum(axis=1, keepdims=True)
    return states
