"""Averages of thermal equilibrium with error bars: energy, pressure, heat capacity, histograms.

Errors are jackknife errors over independent chains: leave out one chain at a time.
"""

import joblib
import numpy as np
import xarray as xr

from .._checks import check_count
from .canonical import chain_of, child, positive_temperatures, seed_sequence

#: What a histogram may be of, and its axis.
HISTOGRAMS = {
    "energy": "total energy per particle",
    "kinetic_energy": "kinetic energy per particle",
    "potential_energy": "potential energy per particle",
    "momentum": "component of the momentum of a particle",
}


def canonical_averages(
    system, temperature, *, n_chains=64, n_sweeps=None, n_records=1000, every=10, start="auto",
    random_state=None, n_jobs=None,
):  # fmt: skip
    """Energy, pressure and heat capacity from averages along independent chains.

    For precise averages this is far cheaper than independent samples, since a chain
    is brought to equilibrium once and then recorded many times. Its records are
    correlated; the errors are taken over chains, which are not.

    Parameters
    ----------
    system : LennardJones2D
    temperature : float or sequence of floats
    n_chains : int, default 64
        At least 8.
    n_sweeps : int, optional
        Sweeps to equilibrium; as for :func:`sample_canonical`.
    n_records, every : int, default 1000 and 10
        Records of each chain, and sweeps between them.
    start, random_state, n_jobs
        As for :func:`sample_canonical`; given states are one, or one for each chain.

    Returns
    -------
    xarray.Dataset
        ``potential_energy`` and ``heat_capacity`` per particle and ``pressure``
        (temperature), each with its standard error ``*_error``. The kinetic parts of
        pressure and heat capacity are exact: ``ρT`` and ``(n - 1)/n``, as the total
        momentum is removed.

    Raises
    ------
    ValueError, TypeError
        On bad parameters or a system without these quantities.

    Examples
    --------
    >>> from dlintegrate import LennardJones2D
    >>> from dlintegrate.sampling import canonical_averages
    >>> result = canonical_averages(LennardJones2D(16, 0.2), 0.71, n_records=100, random_state=0)
    >>> bool(abs(result.potential_energy.item() + 0.687) < 0.02)
    True
    """
    temperatures = positive_temperatures(temperature)
    n_chains = check_count("n_chains", n_chains, 8)
    n_records, every = check_count("n_records", n_records, 1), check_count("every", every, 1)
    chain = chain_of(system, n_sweeps=n_sweeps, start=start)
    if not hasattr(chain, "follow"):
        raise TypeError(f"system={system!r}: expected a LennardJones2D")
    if chain.n_given > 1 and chain.n_given != n_chains:
        raise ValueError(
            f"start holds {chain.n_given} states for {n_chains} chains at each temperature; give "
            "one state, or one for each chain"
        )
    root, size = seed_sequence(random_state), chain.n_together
    tasks = [
        (t, k, range(i * n_chains + k, i * n_chains + min(k + size, n_chains)))
        for i, t in enumerate(temperatures.tolist())
        for k in range(0, n_chains, size)
    ]
    records = joblib.Parallel(n_jobs=n_jobs, prefer="threads")(
        joblib.delayed(_records)(
            chain, t, [child(root, i) for i in numbers], n_records, every, first
        )
        for t, first, numbers in tasks
    )
    means = np.concatenate(records).reshape(len(temperatures), n_chains, 3)
    rows = [_row(m, t, system.n_sites) for m, t in zip(means, temperatures, strict=True)]
    names = {
        "potential_energy": "potential energy per particle",
        "pressure": "pressure",
        "heat_capacity": "heat capacity per particle",
    }
    variables = {}
    for k, (name, text) in enumerate(names.items()):
        values = np.array([row[k] for row in rows]).T
        attrs = {"units": "1", "long_name": text}
        variables[name] = ("temperature", values[0], attrs)
        variables[f"{name}_error"] = (
            "temperature", values[1], {"units": "1", "long_name": f"standard error of {text}"},
        )  # fmt: skip
    return xr.Dataset(variables, {"temperature": temperatures})


def heat_capacity(system, samples):
    """Heat capacity per particle from the fluctuations of independent samples (cf. Fig. 5.1).

    ``c_v = [<U²> - <U>²] / (n T²) + (n - 1)/n``, at each pair of density and
    temperature: the configurational part is estimated, the kinetic part
    ``(n - 1)/n`` of n particles in two dimensions without total momentum is exact.

    Parameters
    ----------
    system : LennardJones2D
    samples : xarray.DataArray
        Independent samples, of one or several densities and temperatures, as from
        :func:`sample_canonical` or :func:`sample_park_states`.

    Returns
    -------
    xarray.Dataset
        ``heat_capacity`` and ``heat_capacity_error`` (density, temperature); NaN where there
        are fewer than 3 samples.

    Raises
    ------
    ValueError
        If ``samples`` has no coordinate ``temperature``.

    Examples
    --------
    >>> from dlintegrate import LennardJones2D, sample_canonical
    >>> from dlintegrate.sampling import heat_capacity
    >>> system = LennardJones2D(16, 0.2)
    >>> result = heat_capacity(system, sample_canonical(system, 0.71, 200, random_state=0))
    >>> result.heat_capacity.shape
    (1, 1)
    """
    temperature, density = _labels(system, samples)
    energy, n = system.potential_energy(samples), samples.sizes["particle"]
    axes = np.unique(density), np.unique(temperature)
    out = np.full((2, *map(len, axes)), np.nan)
    for i, rho in enumerate(axes[0]):
        for k, t in enumerate(axes[1]):
            chosen = energy[(density == rho) & (temperature == t)]
            if len(chosen) > 2:
                moments = np.stack([chosen, chosen**2], axis=1)
                out[:, i, k] = _jackknife(moments, lambda m, t=t: _heat_capacity(m, t, n))
    dims, attrs = ("density", "temperature"), {"units": "1"}
    return xr.Dataset(
        {
            "heat_capacity": (dims, out[0], attrs | {"long_name": "heat capacity per particle"}),
            "heat_capacity_error": (dims, out[1], attrs | {"long_name": "standard error"}),
        },
        {"density": axes[0], "temperature": axes[1]},
    )


def histograms(system, samples, *, bins=60):
    """Histograms of energies and momenta of a set of samples, by density (cf. Fig. 5.4).

    Parameters
    ----------
    system : LennardJones2D
    samples : xarray.DataArray
        Independent samples; those of one density are taken together, whatever their
        temperature, as in the figure. Select temperatures beforehand.
    bins : int, default 60
        Number of bins, over the range of all samples.

    Returns
    -------
    xarray.Dataset
        ``energy``, ``kinetic_energy``, ``potential_energy`` (per particle) and
        ``momentum`` (each component of each particle): the probability density
        (density, bin), with ``*_error``, the standard error over samples, and
        ``*_center`` (bin).

    Raises
    ------
    ValueError
        If ``samples`` has no coordinate ``temperature``, or ``bins`` is not a positive int.

    Examples
    --------
    >>> from dlintegrate import LennardJones2D, sample_canonical
    >>> from dlintegrate.sampling import histograms
    >>> system = LennardJones2D(16, 0.2)
    >>> result = histograms(system, sample_canonical(system, 0.71, 200, random_state=0), bins=10)
    >>> width = result.energy_center.diff("bin")[0]
    >>> round(float((result.energy * width).sum()), 12)
    1.0
    """
    _, density = _labels(system, samples)
    bins, n = check_count("bins", bins, 1), samples.sizes["particle"]
    momenta = system.unpack(system.validate(samples))[0][:, 1]
    kinetic = 0.5 * (momenta**2).sum(axis=(1, 2)) / n
    potential = system.potential_energy(samples) / n
    values = {
        "energy": kinetic + potential,
        "kinetic_energy": kinetic,
        "potential_energy": potential,
        "momentum": momenta.reshape(len(momenta), -1),
    }
    densities, variables = np.unique(density), {}
    for name, value in values.items():
        value = value.reshape(len(value), -1)
        edges = np.histogram_bin_edges(value, bins)
        rows = np.array([_histogram(value[density == rho], edges) for rho in densities])
        attrs = {"units": "1", "long_name": f"probability density of the {HISTOGRAMS[name]}"}
        variables[name] = (("density", "bin"), rows[:, 0], attrs)
        variables[f"{name}_error"] = (("density", "bin"), rows[:, 1], {"units": "1"})
        centers = 0.5 * (edges[1:] + edges[:-1])
        label = {"units": "1", "long_name": HISTOGRAMS[name]}
        variables[f"{name}_center"] = ("bin", centers, label)
    return xr.Dataset(variables, {"density": densities})


def _histogram(values, edges):
    """Probability density and its standard error of values (n_samples, n_values).

    The error is NaN for a single sample.
    """
    bins = len(edges) - 1
    place = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, bins - 1)
    counts = np.zeros((len(values), bins))
    np.add.at(counts, (np.arange(len(values))[:, None], place), 1.0 / values.shape[1])
    width = edges[1] - edges[0]
    spread = counts.std(axis=0, ddof=1) if len(values) > 1 else np.full(bins, np.nan)
    return counts.mean(axis=0) / width, spread / len(values) ** 0.5 / width


def _records(chain, temperature, seeds, n_records, every, first):
    """Means of U, U² and the pressure along chains, shape (n_chains, 3)."""
    places, streams = chain.begin_chains(chain.start_at(temperature), seeds, first)
    temperatures = np.full(len(seeds), temperature)
    widths, _ = chain.equilibrate(places, temperatures, streams, chain.sweeps_at(temperature))
    energy, pressure, _ = chain.follow(places, temperature, streams, widths, n_records, every)
    return np.stack([energy.mean(axis=1), (energy**2).mean(axis=1), pressure.mean(axis=1)], axis=1)


def _row(means, temperature, n):
    """Estimates and errors of energy, pressure and heat capacity from the means of chains."""
    return (
        _jackknife(means, lambda m: m[..., 0] / n),
        _jackknife(means, lambda m: m[..., 2]),
        _jackknife(means, lambda m: _heat_capacity(m, temperature, n)),
    )


def _heat_capacity(moments, temperature, n):
    """From the means of U and U², last axis."""
    variance = moments[..., 1] - moments[..., 0] ** 2
    return variance / (n * temperature**2) + (n - 1) / n


def _jackknife(values, function):
    """Bias-corrected estimate of ``function`` of the mean over axis 0, and its error."""
    n = len(values)
    whole, parts = values.mean(axis=0), (values.sum(axis=0) - values) / (n - 1)
    estimates = function(parts)
    estimate = n * function(whole) - (n - 1) * estimates.mean()
    return float(estimate), float(np.sqrt((n - 1) * estimates.var()))


def _labels(system, samples):
    """Temperature and density of each sample."""
    if not isinstance(samples, xr.DataArray) or "temperature" not in samples.coords:
        raise ValueError("samples: expected a DataArray with the coordinate temperature(sample)")
    side = system.unpack(system.validate(samples))[1]["box_length"]
    density = samples.sizes["particle"] / side**2
    return samples["temperature"].values, np.round(density, 9)
