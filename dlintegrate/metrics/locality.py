"""How far the field on a spin sees."""

import numbers

import numpy as np
import xarray as xr

from ..states import perpendicular
from .torque import exchange_of


def effective_receptive_field(
    field, spins, *, n_sites=4, method="auto", angle=0.05, random_state=None
):
    """How strongly the torque on a spin depends on each spin around it (Cheng 2023, Fig. 10).

    ``Σ_ab |∂h_i^a / ∂S_j^b|``, as Luo and co-workers define it (NIPS 2016), of the part of the
    field that exerts a torque and for spins that stay of unit length: what a learned field does
    off the sphere, or along the spin, says nothing about it. Averaged over samples and sites.

    Parameters
    ----------
    field : SpinSystem or callable
        Learned or exact; see :func:`equivariance_error`.
    spins : xarray.DataArray or array-like, shape (n_samples, x, y, 3)
    n_sites : int, default 4
        Random sites of each sample over which to average.
    method : {"auto", "gradient", "perturbation"}, default "auto"
        Automatic differentiation, three backward passes for each site, for a field that has a
        ``field_tensor``; or turn each site by a small angle in four directions and see which fields
        change, four fields for each site. The latter is the response of
        the others to a site, which is the same if the field derives from an energy.
    angle : float, default 0.05
        Of a perturbation, in radians. The error grows with its square; the noise of a
        field in single precision, with its inverse.
    random_state : int, Generator or None

    Returns
    -------
    xarray.DataArray, shape (dx, dy)
        Centred. ``dx`` and ``dy`` count steps along a1 and a2; the coordinates ``x``, ``y`` and
        ``distance`` belong to the nearest periodic image of each.

    Raises
    ------
    ValueError
        On parameters out of range, or ``method="gradient"`` of a field without ``field_tensor``.

    Examples
    --------
    >>> from dlintegrate import TriangularSDModel, skyrmion_lattice
    >>> from dlintegrate.metrics import effective_receptive_field, receptive_radius
    >>> model = TriangularSDModel((12, 12))
    >>> seen = effective_receptive_field(model, skyrmion_lattice((12, 12)), n_sites=1)
    >>> dict(seen.sizes)
    {'dx': 12, 'dy': 12}
    >>> bool(seen.sel(dx=1, dy=0) > seen.sel(dx=4, dy=0))
    True
    """
    if not isinstance(n_sites, numbers.Integral) or n_sites < 1:
        raise ValueError(f"n_sites={n_sites!r}: expected an int, 1 or more")
    if method not in ("auto", "gradient", "perturbation"):
        raise ValueError(f"method={method!r}: expected 'auto', 'gradient' or 'perturbation'")
    differentiable = hasattr(field, "field_tensor")
    if method == "gradient" and not differentiable:
        raise ValueError("method='gradient': the field has no field_tensor; use 'perturbation'")
    array, torque_field = exchange_of(field, spins)
    if array.ndim != 4:
        raise ValueError(f"spins has shape {array.shape}; expected (n_samples, x, y, 3)")
    rng = np.random.default_rng(random_state)
    sides = array.shape[1:3]
    total = np.zeros(sides)
    for _ in range(n_sites):
        sites = rng.integers(0, sides, size=(len(array), 2))
        if differentiable and method != "perturbation":
            seen = _gradient(field, array, sites)
        else:
            seen = _response(torque_field, array, sites, angle)
        total += _centred(seen, sites).mean(axis=0) / n_sites
    return _labelled(total)


def receptive_radius(receptive_field, share=0.9):
    """Radius of the disk that holds a share of an effective receptive field.

    Parameters
    ----------
    receptive_field : xarray.DataArray
        From :func:`effective_receptive_field`.
    share : float, default 0.9
        Above 0, up to 1. The site itself counts.

    Returns
    -------
    float
        In lattice constants.

    Raises
    ------
    ValueError
        For a share out of this range.
    """
    if not isinstance(share, numbers.Real) or not 0 < share <= 1:
        raise ValueError(f"share={share!r}: expected a number above 0, up to 1")
    weight, distance = receptive_field.values.ravel(), receptive_field["distance"].values.ravel()
    shells, shell = np.unique(distance.round(9), return_inverse=True)
    held = np.bincount(shell, weights=weight).cumsum()
    # a share of exactly 1 must not be missed by rounding
    return float(shells[np.argmax(held >= share * held[-1] * (1 - 1e-12))])


def _gradient(field, array, sites):
    """Σ_ab |∂h_i^a/∂S_j^b| for one site of each sample; shape (n_samples, x, y)."""
    import torch

    free = torch.from_numpy(array).requires_grad_()
    spins = free / free.norm(dim=-1, keepdim=True)
    local_field = perpendicular(field.field_tensor(spins), spins)
    chosen = local_field[torch.arange(len(array)), sites[:, 0], sites[:, 1]]
    seen = np.zeros(array.shape[:-1])
    for component in range(3):
        # samples do not see each other: the gradient of the sum holds that of each
        (gradient,) = torch.autograd.grad(
            chosen[:, component].sum(), free, retain_graph=component < 2
        )
        seen += gradient.abs().sum(-1).double().numpy()
    return seen


def _response(torque_field, array, sites, angle):
    """Σ_ab |∂h_i^a/∂S_j^b| of all i, for one site j of each sample; shape (n_samples, x, y)."""
    if not isinstance(angle, numbers.Real) or not 0 < angle < 1:
        raise ValueError(f"angle={angle!r}: expected a number of radians between 0 and 1")
    index = (np.arange(len(array)), sites[:, 0], sites[:, 1])
    spin = array[index]
    axis = np.eye(3)[np.abs(spin).argmin(axis=-1)]
    first = np.cross(spin, axis)
    first /= np.linalg.norm(first, axis=-1, keepdims=True)
    derivative = 0.0
    for direction in (first, np.cross(spin, first)):
        fields = []
        for sign in (1, -1):
            turned = array.copy()
            turned[index] = np.cos(angle) * spin + sign * np.sin(angle) * direction
            fields.append(torque_field(turned))
        slope = (fields[0] - fields[1]) / (2 * np.sin(angle))
        derivative = derivative + slope[..., None] * direction[:, None, None, None, :]
    return np.abs(derivative).sum(axis=(-2, -1))


def _centred(seen, sites):
    """Roll the site of each sample to the middle."""
    sides = np.array(seen.shape[1:])
    x, y = np.indices(sides)
    shift = sites - sides // 2
    sample = np.arange(len(seen))[:, None, None]
    return seen[
        sample,
        (x + shift[:, 0, None, None]) % sides[0],
        (y + shift[:, 1, None, None]) % sides[1],
    ]


def _labelled(values):
    """Displacements, and the shortest vector that each stands for."""
    sides = values.shape
    dx, dy = (np.arange(side) - side // 2 for side in sides)
    wraps = np.array([(a, b) for a in (0, -1, 1) for b in (0, -1, 1)])
    u = dx[:, None, None] + wraps[:, 0] * sides[0]
    v = dy[None, :, None] + wraps[:, 1] * sides[1]
    u, v = np.broadcast_arrays(u, v)
    x, y = u + 0.5 * v, np.sqrt(0.75) * v
    nearest = np.hypot(x, y).round(9).argmin(axis=-1)[..., None]
    x, y = (np.take_along_axis(part, nearest, axis=-1)[..., 0] for part in (x, y))
    plane = ("dx", "dy")
    return xr.DataArray(
        values,
        dims=plane,
        coords={
            "dx": dx,
            "dy": dy,
            "x": (plane, x),
            "y": (plane, y),
            "distance": (plane, np.hypot(x, y)),
        },
        name="receptive_field",
    )
