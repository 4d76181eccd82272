"""The front end of sampling: temperatures, seeds, parallel chains, and the DataArray."""

import json
import numbers

import joblib
import numpy as np
import xarray as xr
from tqdm.auto import tqdm

from ..systems import HeisenbergLattice
from . import spins

#: Number of sites that one parallel task fills: a second or less of work.
_TASK_SIZE = 32_768


def sample_canonical(
    system, temperature, n_samples, *, method="heat_bath", n_sweeps=None, n_over_relaxation=4,
    start="auto", random_state=None, n_jobs=None, progress=False,
):  # fmt: skip
    """Draw independent states of thermal equilibrium, one Markov chain for each.

    Parameters
    ----------
    system : HeisenbergLattice
        Chains, square and cubic lattices, exchange of either sign, any field.
    temperature : float or sequence of floats
        Temperature in units of \\|J\\|/k_B; all positive.
    n_samples : int or sequence of ints
        Samples per temperature; a sequence gives each temperature its own number.
    method : {"heat_bath", "metropolis"}, default "heat_bath"
        ``"heat_bath"``: every sweep draws each spin from its exact distribution in
        the field of its neighbours, after ``n_over_relaxation`` sweeps that
        reflect each spin about that field at constant energy.
        ``"metropolis"``: simulated annealing as in Park 2022, section 4.1.1: single-spin
        trials, from a random state down the temperatures of Eq. 4.1 to the target.
    n_sweeps : int, optional
        Sweeps of each chain at its temperature; annealing makes a tenth as many at
        each temperature above.
        The default grows with the longest side and suffices at the critical
        temperature; test it with :func:`diagnose_sampling`.
    n_over_relaxation : int, default 4
        Over-relaxation sweeps before each heat-bath sweep.
    start : {"auto", "ordered", "random"} or array-like, default "auto"
        First state of the chains: the ground state of the exchange, independent
        random directions, or given spins (of one state, or one for each sample).
        ``"auto"`` takes the ordered state below the critical temperature (if the
        exchange is not frustrated) and the random one above; for ``"metropolis"``
        always the random one. Only a random start goes down the ladder.
    random_state : int, SeedSequence, Generator, RandomState or None
        Seed. Sample i depends on it, on i and on its temperature alone, so the
        result is the same bit for bit whatever ``n_jobs``, and drawing more
        samples at a single temperature leaves the first ones as they were.
    n_jobs : int, optional
        Threads, as in joblib.
    progress : bool, default False
        Show a progress bar.

    Returns
    -------
    xarray.DataArray, shape (n, *sides, 3)
        Dimensions ``("sample", *system.state_dims)``, coordinate
        ``temperature(sample)``, in the order of ``temperature``. The magnetisation
        has no preferred direction but that of the field.

    Raises
    ------
    ValueError
        If a temperature is not positive and finite, a number is not positive,
        the lengths of ``temperature`` and ``n_samples`` disagree, or ``method``
        or ``start`` is unknown.
    TypeError
        If there is no sampler for the system.

    Examples
    --------
    >>> from dlintegrate import HeisenbergLattice, sample_canonical
    >>> system = HeisenbergLattice(shape=(6, 6, 6))
    >>> samples = sample_canonical(system, [0.5, 2.0], 3, random_state=0)
    >>> samples.shape, samples.temperature.values.tolist()
    ((6, 6, 6, 6, 3), [0.5, 0.5, 0.5, 2.0, 2.0, 2.0])
    >>> bool((system.energy(samples[:3]) < system.energy(samples[3:])).all())
    True
    """
    temperatures = _temperatures(temperature, n_samples)
    chain = chain_of(
        system, method=method, n_sweeps=n_sweeps, n_over_relaxation=n_over_relaxation, start=start
    )
    root = seed_sequence(random_state)
    if chain.n_given > 1 and chain.n_given != len(temperatures):
        raise ValueError(
            f"start holds {chain.n_given} states for {len(temperatures)} samples; "
            "give one state, or one for each sample"
        )
    out = np.empty((len(temperatures), *chain.state_shape))
    size = max(1, _TASK_SIZE // chain.n_sites)
    tasks = [slice(i, min(i + size, len(out))) for i in range(0, len(out), size)]
    parallel = joblib.Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")
    drawn = parallel(
        joblib.delayed(_draw)(chain, temperatures[task], root, task.start) for task in tasks
    )
    with tqdm(total=len(out), desc="sampling", unit="sample", disable=not progress) as bar:
        for task, states in zip(tasks, drawn, strict=True):
            out[task] = states
            bar.update(len(states))
    return _wrap(system, out, temperatures, method=method, **chain.parameters)


def chain_of(system, **options):
    """Return the sampler of a system: an object that can ``draw(temperature, seed, index)``.

    Raises
    ------
    TypeError
        If there is none.
    """
    if isinstance(system, HeisenbergLattice):
        return spins.SpinChain.of(system, **options)
    raise TypeError(
        f"system={system!r}: no canonical sampler for {type(system).__name__}; "
        "expected a HeisenbergLattice"
    )


def seed_sequence(random_state):
    """Turn any random_state into a ``numpy.random.SeedSequence``.

    Raises
    ------
    ValueError
        If it is none of the kinds that :func:`sample_canonical` names.
    """
    if isinstance(random_state, np.random.SeedSequence):
        return random_state
    if isinstance(random_state, np.random.Generator):
        return np.random.SeedSequence(random_state.integers(2**63, size=2).tolist())
    if isinstance(random_state, np.random.RandomState):
        return np.random.SeedSequence(random_state.randint(2**31, size=4).tolist())
    is_seed = isinstance(random_state, numbers.Integral) and random_state >= 0
    if random_state is None or is_seed:
        return np.random.SeedSequence(None if random_state is None else int(random_state))
    raise ValueError(
        f"random_state={random_state!r}: expected None, a non-negative int, "
        "a SeedSequence, a Generator or a RandomState"
    )


def child(root, index):
    """The child of a seed that ``root.spawn`` would give, without changing ``root``."""
    return np.random.SeedSequence(
        root.entropy, spawn_key=(*root.spawn_key, index), pool_size=root.pool_size
    )


def _draw(chain, temperatures, root, first):
    return np.stack(
        [chain.draw(t, child(root, i), i) for i, t in enumerate(temperatures.tolist(), start=first)]
    )


def positive_temperatures(temperature):
    """Check one temperature or several; returns an array.

    Raises
    ------
    ValueError
        If one is not positive and finite.
    """
    try:
        values = np.atleast_1d(np.asarray(temperature, dtype=np.float64))
    except (TypeError, ValueError):
        values = np.array([np.nan])
    if values.ndim != 1 or values.size == 0 or not (np.isfinite(values) & (values > 0)).all():
        raise ValueError(
            f"temperature={temperature!r}: expected a positive finite number or a sequence of them"
        )
    return values


def _temperatures(temperature, n_samples):
    """One temperature for each sample."""
    values = positive_temperatures(temperature)
    counts = np.atleast_1d(np.asarray(n_samples))
    if counts.ndim != 1 or counts.dtype.kind not in "iu" or (counts < 1).any():
        raise ValueError(
            f"n_samples={n_samples!r}: expected a positive int, or one for each temperature"
        )
    if np.ndim(n_samples) and counts.size != values.size:
        raise ValueError(
            f"n_samples has {counts.size} entries and temperature {values.size}; "
            "give one number for each temperature, or a single int for all"
        )
    return np.repeat(values, counts)


def _wrap(system, array, temperatures, **parameters):
    from .. import __version__

    parameters["system"] = {"class": type(system).__name__, **system.get_params()}
    return xr.DataArray(
        array,
        dims=("sample", *system.state_dims),
        coords={
            "temperature": (
                "sample",
                temperatures,
                {"units": "1", "long_name": "temperature in units of J/k_B"},
            )
        },
        name=system.state_name,
        attrs={
            "units": "1",
            "long_name": f"{system.state_name} in thermal equilibrium",
            "dlintegrate_version": __version__,
            "parameters": json.dumps(parameters, default=_plain),
        },
    )


def _plain(value):
    return value.tolist() if hasattr(value, "tolist") else str(value)
