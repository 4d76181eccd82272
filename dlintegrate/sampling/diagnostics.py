"""Do the chains run long enough? Traces from two starts, and autocorrelation times."""

import joblib
import numpy as np
import xarray as xr

from .canonical import chain_of, child, positive_temperatures, seed_sequence

QUANTITIES = ("energy", "order_parameter")
#: A chain counts as equilibrated after so many integrated autocorrelation times.
N_TIMES = 10
#: Means from the two starts may differ by so many standard errors.
N_ERRORS = 4.0
#: The window of the autocorrelation sum in units of its value (Sokal).
WINDOW = 6.0


def diagnose_sampling(
    system, temperature, *, method=None, n_sweeps=None, n_over_relaxation=None, n_chains=16,
    length=6, random_state=None, n_jobs=None,
):  # fmt: skip
    """Measure equilibration and autocorrelation of the chains of `sample_canonical`.

    Chains are followed sweep by sweep, half of them from the ordered (for particles:
    the lattice) and half from the random start, at the target temperature (no
    annealing: a harder test). ``n_sweeps`` is called sufficient if it is at least ten integrated
    autocorrelation times and the means over the sweeps from ``n_sweeps`` to
    twice that agree between the starts within four standard errors.

    Parameters
    ----------
    system : HeisenbergLattice or LennardJones2D
    temperature : float or sequence of floats
        k_B = 1.
    method, n_sweeps, n_over_relaxation
        As for :func:`sample_canonical`; what is to be judged.
    n_chains : int, default 16
        Chains from each start, at least 4.
    length : int, default 6
        Chains are followed for so many times ``n_sweeps``, at least 3.
    random_state, n_jobs
        As for :func:`sample_canonical`.

    Returns
    -------
    xarray.Dataset
        ``energy`` and ``order_parameter`` (temperature, start, chain, sweep): total
        energy, and \\|M\\|, which is staggered for J < 0;
        ``autocorrelation_time`` (temperature, quantity), integrated, in sweeps;
        ``start_difference`` (temperature, quantity) in standard errors;
        ``n_sweeps`` and ``sufficient`` (temperature).

    Raises
    ------
    ValueError
        On bad parameters.

    Examples
    --------
    >>> from dlintegrate import HeisenbergLattice, diagnose_sampling
    >>> report = diagnose_sampling(HeisenbergLattice(shape=(4, 4, 4)), [0.5, 2.0], random_state=0)
    >>> report.sufficient.values
    array([ True,  True])
    """
    temperatures = positive_temperatures(temperature)
    for name, value, least in (("n_chains", n_chains, 4), ("length", length, 3)):
        if not isinstance(value, int | np.integer) or value < least:
            raise ValueError(f"{name}={value!r}: expected an int of at least {least}")
    chain = chain_of(
        system, method=method, n_sweeps=n_sweeps, n_over_relaxation=n_over_relaxation, start="auto"
    )
    sweeps = np.array([chain.sweeps_at(t) for t in temperatures.tolist()])
    root, starts = seed_sequence(random_state), chain.opposite_starts
    cases = [(t, s) for t in temperatures.tolist() for s in starts]
    tasks = [
        (case, range(i * n_chains + k, i * n_chains + min(k + chain.n_together, n_chains)))
        for i, case in enumerate(cases)
        for k in range(0, n_chains, chain.n_together)
    ]
    traces = joblib.Parallel(n_jobs=n_jobs, prefer="threads")(
        joblib.delayed(_traces)(chain, s, t, length * sweeps.max(), root, numbers)
        for (t, s), numbers in tasks
    )
    shape = (len(temperatures), len(starts), n_chains, 2, -1)
    traces = np.moveaxis(np.reshape(np.concatenate(traces), shape), 3, 0)
    return _report(temperatures, sweeps, starts, traces)


def autocorrelation_time(traces):
    """Integrated autocorrelation time ``½ + Σ_t ρ(t)`` of stationary traces, in sweeps.

    The sum ends where the lag exceeds six times its value (Sokal's window).

    Parameters
    ----------
    traces : ndarray, shape (n_chains, n_sweeps)

    Returns
    -------
    float
        At least ½; NaN if the traces do not vary.
    """
    n = traces.shape[1]
    deviation = traces - traces.mean()
    if not deviation.any():
        return np.nan
    spectrum = np.abs(np.fft.rfft(deviation, 2 * n, axis=1)) ** 2
    covariance = np.fft.irfft(spectrum.mean(axis=0))[:n] / np.arange(n, 0, -1)
    times = 0.5 + np.cumsum(covariance[1:] / covariance[0])
    closed = np.arange(1, n) >= WINDOW * times
    return float(max(0.5, times[np.argmax(closed) if closed.any() else -1]))


def _traces(chain, start, temperature, n_sweeps, root, numbers):
    return chain.traces(start, temperature, int(n_sweeps), [child(root, i) for i in numbers])


def _report(temperatures, sweeps, starts, traces):
    """Dataset of the traces (quantity, temperature, start, chain, sweep) and the verdict."""
    times = np.empty((len(temperatures), 2))
    difference = np.empty_like(times)
    for i, n in enumerate(sweeps):
        for q in range(2):
            late = traces[q, i, :, :, n:]
            times[i, q] = autocorrelation_time(late.reshape(-1, late.shape[-1]))
            difference[i, q] = _difference(traces[q, i, :, :, n : 2 * n].mean(axis=-1))
    # traces that do not vary have no time to compare with
    long_enough = sweeps[:, None] >= N_TIMES * np.nan_to_num(times)
    sufficient = (long_enough & (difference < N_ERRORS)).all(axis=1)
    dims = ("temperature", "start", "chain", "sweep")
    name = "order parameter of the system"
    return xr.Dataset(
        {
            "energy": (dims, traces[0], {"units": "1", "long_name": "energy"}),
            "order_parameter": (dims, traces[1], {"units": "1", "long_name": name}),
            "autocorrelation_time": (("temperature", "quantity"), times, {"units": "sweeps"}),
            "start_difference": (("temperature", "quantity"), difference, {"units": "1"}),
            "n_sweeps": (("temperature",), sweeps),
            "sufficient": (("temperature",), sufficient),
        },
        coords={
            "temperature": temperatures,
            "start": list(starts),
            "quantity": list(QUANTITIES),
            "sweep": np.arange(traces.shape[-1]),
        },
    )


def _difference(means):
    """Difference of two rows of chain means in standard errors."""
    error = np.sqrt((means.var(axis=1, ddof=1) / means.shape[1]).sum())
    gap = abs(means[0].mean() - means[1].mean())
    return gap / error if error > 0 else np.inf * gap if gap > 0 else 0.0
