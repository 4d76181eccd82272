"""Order and topology of spins on a triangular lattice."""

import numpy as np
import xarray as xr

from ..systems.textures import ORDERING_PHASES
from ._named import coordinates, named, ordered


def topological_charge(spins):
    """Number of times the spins wrap the sphere: solid angles of all triangles over 4π.

    Berg and Lüscher, Nucl. Phys. B 190, 412 (1981). An integer on the periodic lattice.

    Parameters
    ----------
    spins : xarray.DataArray or array-like, shape (..., x, y, 3)

    Returns
    -------
    like ``spins`` without its last three axes
    """
    density = topological_density(_array(spins))
    return named(spins, density.sum(axis=(-2, -1)), _leading(spins))


def topological_density(spins):
    """Charge of the two triangles at each site, with the neighbours along a1 and a2.

    The terms of Berg and Lüscher (1981), whose sum is :func:`topological_charge`.

    Parameters
    ----------
    spins : xarray.DataArray or array-like, shape (..., x, y, 3)

    Returns
    -------
    like ``spins`` without its last axis
    """
    s = _array(spins)
    right, up = np.roll(s, -1, axis=-3), np.roll(s, -1, axis=-2)
    across = np.roll(right, -1, axis=-2)
    density = (_solid_angle(s, right, up) + _solid_angle(right, across, up)) / (4 * np.pi)
    return named(spins, density, (*_leading(spins), *_sites(spins)))


def _solid_angle(a, b, c):
    """Oriented solid angle of a spherical triangle."""
    volume = (a * np.cross(b, c)).sum(-1)
    return 2 * np.arctan2(volume, 1 + (a * b).sum(-1) + (b * c).sum(-1) + (c * a).sum(-1))


def structure_factor(spins):
    """``S(q) = |1/N Σ S_i exp(i q·r_i)|²`` (Cheng 2023, Eq. 12), at most 1.

    Parameters
    ----------
    spins : xarray.DataArray or array-like, shape (..., x, y, 3)

    Returns
    -------
    xarray.DataArray, shape (..., q1, q2)
        On the phases ``q1`` and ``q2`` per step along a1 and a2, from -π to π, with the
        Cartesian components ``qx`` and ``qy`` as coordinates. Its sum is 1.

    Notes
    -----
    A peak of long-range order does not depend on the size of the lattice. Figure 8 of the paper
    shows N times this, although its Eq. 12 does not say so.
    """
    s = _array(spins)
    n = s.shape[-3] * s.shape[-2]
    weight = (np.abs(np.fft.fft2(s, axes=(-3, -2)) / n) ** 2).sum(-1)
    weight = np.fft.fftshift(weight, axes=(-2, -1))
    q1, q2 = (2 * np.pi * np.fft.fftshift(np.fft.fftfreq(m)) for m in weight.shape[-2:])
    leading = _leading(spins)
    qx = np.broadcast_to(q1[:, None], (len(q1), len(q2)))
    return xr.DataArray(
        weight,
        dims=(*leading, "q1", "q2"),
        coords={
            **coordinates(spins, leading),
            "q1": q1,
            "q2": q2,
            "qx": (("q1", "q2"), qx),
            "qy": (("q1", "q2"), (2 * q2[None, :] - q1[:, None]) / np.sqrt(3)),
        },
        name="structure_factor",
    )


def ordering_weight(spins):
    """Share of S(q) at ±Q1, ±Q2 and ±Q3, each of the three.

    Parameters
    ----------
    spins : xarray.DataArray or array-like, shape (..., x, y, 3)
        Sides that are multiples of 12.

    Returns
    -------
    like ``spins``, shape (..., 3)
        The last axis is ``ordering``.
    """
    s = _array(spins)
    n = s.shape[-3] * s.shape[-2]
    x, y = np.indices(s.shape[-3:-1])
    phase = np.tensordot(ORDERING_PHASES, np.stack([x, y]), axes=1)
    amplitude = np.einsum("kxy,...xyc->...kc", np.exp(1j * phase), s) / n
    return named(spins, 2 * (np.abs(amplitude) ** 2).sum(-1), (*_leading(spins), "ordering"))


def _array(spins):
    array = np.asarray(ordered(spins), dtype=np.float64)
    if array.ndim < 3 or array.shape[-1] != 3 or "z" in getattr(spins, "dims", ()):
        raise ValueError(f"spins has shape {array.shape}; expected (..., x, y, 3), on a plane")
    return array


def _leading(spins):
    """Names of the axes before those of a state; an array has none, and gets numbers."""
    if isinstance(spins, xr.DataArray):
        return ordered(spins).dims[:-3]
    return tuple(f"dim_{k}" for k in range(np.ndim(spins) - 3))


def _sites(spins):
    return ordered(spins).dims[-3:-1] if isinstance(spins, xr.DataArray) else ("x", "y")
