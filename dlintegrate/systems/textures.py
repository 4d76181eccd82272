"""Ordered spin textures on the triangular lattice."""

import numbers

import numpy as np

from .._checks import check_count, check_finite

#: Ordering vectors of the triple-Q order at the default filling, as phases per step along
#: a1 and a2: the Cartesian vector (π/3, 0) and its rotations by 120°.
ORDERING_PHASES = np.pi / 6 * np.array([[2, 1], [-1, 1], [-1, -2]])


def skyrmion_lattice(
    shape, n_samples=1, *, amplitude=1.0, offset=0.0, phase=0.0, perturbation=0.0,
    random_state=None,
):  # fmt: skip
    """The skyrmion lattice of three superposed helices (Cheng 2023, Eq. 13).

    Parameters
    ----------
    shape : tuple of 2 ints
        Sides along a1 and a2, multiples of 12.
    n_samples : int, default 1
    amplitude, offset, phase : float
        A, M and φ of the equation.
    perturbation : float, default 0.0
        Standard deviation of site-dependent additions to A and M, and a tenth of it to φ:
        strong random phases would destroy the winding.
    random_state : int, Generator or None

    Returns
    -------
    ndarray, shape (n_samples, *shape, 3)

    Raises
    ------
    ValueError
        If a side is not a positive multiple of 12, or a parameter not a finite number.

    Notes
    -----
    At M = 0 the vectors of one site in 48 vanish: as long as nothing is perturbed they get the
    direction +z, but any noise, however small, decides which way they point, and with them goes
    the charge. With M = 0.2 a perturbation of 0.05 leaves the charge as it is.

    Examples
    --------
    >>> from dlintegrate import skyrmion_lattice
    >>> from dlintegrate.metrics import topological_charge
    >>> abs(topological_charge(skyrmion_lattice((12, 12)))).round(6).tolist()
    [3.0]
    """
    index = _indices(shape)
    n_samples = check_count("n_samples", n_samples, 0)
    check_finite("amplitude", amplitude)
    check_finite("offset", offset)
    check_finite("phase", phase)
    if check_finite("perturbation", perturbation) < 0:
        raise ValueError(f"perturbation={perturbation!r}: expected a number, 0 or more")
    rng = np.random.default_rng(random_state)
    noise = perturbation * rng.normal(size=(3, n_samples, *shape))
    q1, q2, q3 = np.tensordot(ORDERING_PHASES, index, axes=1)
    shifted = [q + phase + 0.1 * noise[2] for q in (q1, q2, q3)]
    in_plane = [
        np.cos(q1) - 0.5 * np.cos(q2) - 0.5 * np.cos(q3),
        np.sqrt(0.75) * (np.cos(q2) - np.cos(q3)),
    ]
    along = (amplitude + noise[0]) * sum(np.sin(q) for q in shifted) + offset + noise[1]
    spins = np.stack([*(np.broadcast_to(s, along.shape) for s in in_plane), along], axis=-1)
    return _unit(spins)


def helix(shape, ordering=0, n_samples=1):
    """A helix: spins that turn in a plane along one ordering vector.

    Parameters
    ----------
    shape : tuple of 2 ints
        Multiples of 12.
    ordering : {0, 1, 2}, default 0
        Which of the three vectors.
    n_samples : int, default 1

    Returns
    -------
    ndarray, shape (n_samples, *shape, 3)

    Raises
    ------
    ValueError
        For another ``ordering``.
    """
    if ordering not in (0, 1, 2):
        raise ValueError(f"ordering={ordering!r}: expected 0, 1 or 2")
    angle = np.tensordot(ORDERING_PHASES[ordering], _indices(shape), axes=1)
    spins = np.stack([np.cos(angle), np.zeros_like(angle), np.sin(angle)], axis=-1)
    return np.broadcast_to(spins, (n_samples, *spins.shape)).copy()


def ferromagnet(shape, n_samples=1):
    """All spins along z, shape (n_samples, *shape, 3)."""
    spins = np.zeros((n_samples, *shape, 3))
    spins[..., 2] = 1.0
    return spins


def _indices(shape):
    valid = len(tuple(shape)) == 2 and all(
        isinstance(side, numbers.Integral) and side > 0 and side % 12 == 0 for side in shape
    )
    if not valid:
        raise ValueError(
            f"shape={shape!r}: the texture repeats after 12 sites; expected two multiples of 12"
        )
    return np.indices(tuple(shape)).astype(np.float64)


def _unit(vectors):
    norm = np.linalg.norm(vectors, axis=-1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(norm > 1e-12, vectors / norm, [0.0, 0.0, 1.0])
