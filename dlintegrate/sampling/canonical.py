"""The front end of sampling: temperatures, seeds, parallel chains, and the DataArray."""

import json
import numbers

import joblib
import numpy as np
import xarray as xr
from tqdm.auto import tqdm

from .._parallel import in_order
from ..systems import HeisenbergLattice, LennardJones2D
from .particles import ParticleChain
from .spins import SpinChain

#: The sampler of a system.
_CHAINS = {HeisenbergLattice: SpinChain, LennardJones2D: ParticleChain}
#: Number of sites that one parallel task fills: seconds of work.
_TASK_SIZE = 32_768


def sample_canonical(
    system, temperature, n_samples, *, method=None, n_sweeps=None, n_over_relaxation=None,
    start="auto", random_state=None, n_jobs=None, progress=False,
):  # fmt: skip
    """Draw independent states of thermal equilibrium, one Markov chain for each.

    Parameters
    ----------
    system : HeisenbergLattice or LennardJones2D
        Chains, square and cubic lattices of spins, exchange of either sign, any field;
        or particles at the density of the system.
    temperature : float or sequence of floats
        Temperature, k_B = 1 (in units of \\|J\\| or ε if those are 1); all positive.
    n_samples : int or sequence of ints
        Samples per temperature; a sequence gives each temperature its own number.
    method : {"heat_bath", "metropolis"}, optional
        ``"heat_bath"``, for spins and there the default: every sweep draws each spin from
        its exact distribution in the field of its neighbours, after ``n_over_relaxation``
        sweeps that reflect each spin about that field at constant energy.
        ``"metropolis"`` for spins: simulated annealing as in Park 2022, section 4.1.1:
        single-spin trials, from a random state down the temperatures of Eq. 4.1 to the
        target. ``"metropolis"`` for particles, their only method: in every sweep each
        particle makes one local trial, of a width that is tuned in the first half of the
        sweeps to accept 40 % and then stays, and one trial anywhere in the box; momenta
        are drawn from the Maxwell-Boltzmann distribution, and their mean is subtracted.
    n_sweeps : int, optional
        Sweeps of each chain at its temperature; annealing makes a tenth as many at
        each temperature above.
        The default for spins grows with the longest side and suffices at the critical
        temperature. That for particles grows as the temperature falls and, up to 256
        particles, with their number: 1000 for 16 particles at T = 0.27 ε, more than ten
        autocorrelation times. Large condensed systems need more.
        Test it with :func:`diagnose_sampling`.
    n_over_relaxation : int, optional
        Over-relaxation sweeps before each heat-bath sweep: 4. Only for spins.
    start : {"auto", "ordered", "lattice", "random"} or array-like, default "auto"
        First state of the chains, or given states, shape (1 or n_samples, ...).
        Spins: ``"ordered"``, the ground state of the exchange, or ``"random"``, independent
        directions; ``"auto"`` takes the ordered state below the critical temperature (if
        the exchange is not frustrated) and the random one above; for ``"metropolis"``
        always the random one. Only a random start goes down the ladder.
        Particles: ``"lattice"``, a round droplet of the triangular lattice, or
        ``"random"``, independent places in the box; ``"auto"`` takes the droplet below
        T = 0.45 ε, where particles condense. Of given states the positions count.
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
    xarray.DataArray, shape (n, *sides, 3) or (n, 2, n_particles, 2)
        Dimensions ``("sample", *system.state_dims)``, coordinate
        ``temperature(sample)``, in the order of ``temperature``. The magnetisation
        has no preferred direction but that of the field. Particles also have
        ``box_length(sample)`` and ``density(sample)``, positions in [0, box_length), and
        the total momentum zero.

    Raises
    ------
    ValueError
        If a temperature is not positive and finite, a number is not positive,
        the lengths of ``temperature`` and ``n_samples`` disagree, or ``method``
        or ``start`` is unknown, or an option is for other systems.
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
    size = chain.n_together * max(1, _TASK_SIZE // (chain.n_sites * chain.n_together))
    tasks = [slice(i, min(i + size, len(out))) for i in range(0, len(out), size)]
    calls = (joblib.delayed(_draw)(chain, temperatures[task], root, task.start) for task in tasks)
    drawn = in_order(calls, n_jobs, prefer="threads")
    with tqdm(total=len(out), desc="sampling", unit="sample", disable=not progress) as bar:
        for task, states in zip(tasks, drawn, strict=True):
            out[task] = states
            bar.update(len(states))
    return _wrap(system, chain, out, temperatures)


def chain_of(system, **options):
    """Return the sampler of a system: an object that can ``draw_batch(temperatures, seeds)``.

    Raises
    ------
    TypeError
        If there is none.
    """
    for kind, chain in _CHAINS.items():
        if isinstance(system, kind):
            return chain.of(system, **options)
    raise TypeError(
        f"system={system!r}: no canonical sampler for {type(system).__name__}; "
        f"expected a {' or a '.join(kind.__name__ for kind in _CHAINS)}"
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
    seeds = [child(root, i) for i in range(first, first + len(temperatures))]
    return chain.draw_batch(temperatures, seeds, first)


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


def _wrap(system, chain, array, temperatures):
    parameters = chain.parameters
    parameters["system"] = {"class": type(system).__name__, **system.get_params()}
    scale = {"units": "1", "long_name": "temperature, k_B = 1"}
    coords = chain.coords(len(array))
    return wrap_thermal(system, array, temperatures, scale, coords, parameters, units="1")


def wrap_thermal(system, array, temperatures, scale, coords, parameters, **attrs):
    """Thermal states as users get them: with temperatures, and how they were drawn.

    Parameters
    ----------
    system : System
    array : ndarray, shape (n_samples, ...)
    temperatures : ndarray, shape (n_samples,)
    scale : dict
        Attributes of the coordinate ``temperature``.
    coords : dict
        All other coordinates.
    parameters : dict
        Kept as JSON.
    **attrs
        Further attributes.

    Returns
    -------
    xarray.DataArray
    """
    from .. import __version__

    return xr.DataArray(
        array,
        dims=("sample", *system.state_dims),
        coords={"temperature": ("sample", temperatures, scale), **coords},
        name=system.state_name,
        attrs={
            **attrs,
            "long_name": f"{system.state_name} in thermal equilibrium",
            "dlintegrate_version": __version__,
            "parameters": json.dumps(parameters, default=_plain),
        },
    )


def _plain(value):
    return value.tolist() if hasattr(value, "tolist") else str(value)
