"""Laws of exchange and of pairs of atoms, and anisotropies: small objects that hold parameters."""

import numbers
from abc import ABC, abstractmethod

import numpy as np
from sklearn.base import BaseEstimator

from .._kernels.radial import LOWEST, grid_up_to, quintic_rows


class RadialLaw(BaseEstimator, ABC):
    """A function of the distance of two atoms, zero from ``cutoff`` on.

    Subclasses store a parameter or property ``cutoff`` (Å) and give :meth:`evaluate`. It is
    tabulated once, so it may be as slow as it likes; systems see it with an error below 1e-11.
    """

    @abstractmethod
    def evaluate(self, distance):
        """Value (eV) and slope (eV/Å) at distances from 0.5 Å up to the cutoff.

        At the cutoff itself, the limit from below.

        Parameters
        ----------
        distance : ndarray, any shape
            In Å.

        Returns
        -------
        value, slope : ndarray, like ``distance``
        """

    @property
    def kink(self):
        """A distance inside the cutoff at which a derivative of some order jumps, or None."""
        return None

    def table(self):
        """Begin, step, cutoff and rows of the table that kernels look the law up in."""
        cutoff = positive(self, "cutoff")
        if cutoff <= LOWEST:
            raise ValueError(f"cutoff={cutoff}: expected a number of Å above {LOWEST}")
        low, step, n = grid_up_to(cutoff, self.kink)
        return low, step, cutoff, quintic_rows(self.evaluate, low, step, n)


def positive(law, name, zero=False):
    """A parameter that has to be a positive (or zero) number, checked."""
    value = getattr(law, name)
    if not isinstance(value, numbers.Real) or not np.isfinite(value) or value < 0:
        raise ValueError(f"{name}={value!r}: expected a positive number")
    if value == 0 and not zero:
        raise ValueError(f"{name}={value!r}: expected a positive number, not zero")
    return float(value)


class _Switched(RadialLaw):
    """A law that a polynomial takes to zero over the last ``switch`` Å before the cutoff."""

    @property
    def kink(self):
        """Where the switch begins; None without one."""
        width = positive(self, "switch", zero=True)
        if width > 0 and width > self.cutoff - LOWEST:
            raise ValueError(
                f"switch={self.switch}: expected at most cutoff - {LOWEST} = "
                f"{self.cutoff - LOWEST:.6g}"
            )
        return self.cutoff - width if width > 0 else None

    def evaluate(self, distance):
        """Value and slope; see :meth:`RadialLaw.evaluate`."""
        value, slope = self._bare(distance)
        begin = self.kink
        if begin is None:
            return value, slope
        # 1 - 10 x³ + 15 x⁴ - 6 x⁵: value, slope and curvature are continuous at both ends
        x = np.clip((distance - begin) / self.switch, 0.0, 1.0)
        factor = 1.0 - x**3 * (10.0 - 15.0 * x + 6.0 * x * x)
        change = -30.0 * (x * (1.0 - x)) ** 2 / self.switch
        return factor * value, factor * slope + change * value


class CubicExchange(RadialLaw):
    """Exchange ``J(r) = A (1 - r/r_c)³``, zero from r_c on.

    The law of Ma, Woo and Dudarev (Phys. Rev. B 78, 024434, 2008) for iron; with the
    defaults and ``E = -½ Σ_{i≠j} J e_i·e_j``, bcc iron loses its magnetisation near 1043 K.

    Parameters
    ----------
    strength : float, default 0.89
        A in eV.
    cutoff : float, default 3.75
        r_c in Å.

    Examples
    --------
    >>> from dlintegrate.systems import CubicExchange
    >>> CubicExchange(strength=1.0, cutoff=4.0).evaluate(2.0)[0]
    0.125
    """

    def __init__(self, strength=0.89, cutoff=3.75):
        self.strength = strength
        self.cutoff = cutoff

    def evaluate(self, distance):
        """Value and slope; see :meth:`RadialLaw.evaluate`."""
        inside = 1.0 - distance / self.cutoff
        return self.strength * inside**3, -3.0 * self.strength / self.cutoff * inside**2


class BetheSlater(_Switched):
    """Exchange ``J(r) = 4a (r/d)² [1 - b (r/d)²] exp(-(r/d)²)``, zero from ``cutoff`` on.

    The form that LAMMPS has (``pair_style spin/exchange``; Tranchida, Plimpton, Thibaudeau and
    Thompson, J. Comput. Phys. 372, 406, 2018). Energies, forces and fields agree with its version
    of July 2025 at equal coefficients: a bond has the energy ``-J e·e'`` in both. Papers, and its
    manual, write ``-Σ_{i≠j} J e_i·e_j`` with every bond twice: fits of that convention, such as
    this one for iron, describe ab-initio exchange with twice the ``strength``.

    Parameters
    ----------
    strength : float, default 0.02726
        a in eV.
    shape : float, default 0.2171
        b.
    length : float, default 1.841
        d in Å.
    cutoff : float, default 3.4
        In Å.
    switch : float, default 0
        Width in Å of the switch to zero before the cutoff. 0 cuts J off plainly, as LAMMPS does:
        energies then jump when atoms cross the cutoff.
    """

    def __init__(self, strength=0.02726, shape=0.2171, length=1.841, cutoff=3.4, switch=0.0):
        self.strength = strength
        self.shape = shape
        self.length = length
        self.cutoff = cutoff
        self.switch = switch

    def _bare(self, distance):
        u = (distance / positive(self, "length")) ** 2
        decay = 4.0 * self.strength * np.exp(-u)
        by_u = decay * (1.0 - 2.0 * self.shape * u - u * (1.0 - self.shape * u))
        return decay * u * (1.0 - self.shape * u), 2.0 * distance / self.length**2 * by_u


class Morse(_Switched):
    """Pair potential ``φ(r) = D [exp(-2α(r - r0)) - 2 exp(-α(r - r0))]``, zero from ``cutoff`` on.

    The defaults are bcc iron (Girifalco and Weizer, Phys. Rev. 114, 687, 1959), with a cutoff and
    a switch that leave the crystal at 2.8665 Å nearly free of pressure (-1.6 GPa) and stable.

    Parameters
    ----------
    depth : float, default 0.4174
        D in eV.
    stiffness : float, default 1.3885
        α in 1/Å.
    distance : float, default 2.845
        r0 in Å.
    cutoff : float, default 5.8
        In Å.
    switch : float, default 1.5
        Width in Å of the switch to zero before the cutoff; 0 cuts φ off plainly.
    """

    def __init__(self, depth=0.4174, stiffness=1.3885, distance=2.845, cutoff=5.8, switch=1.5):
        self.depth = depth
        self.stiffness = stiffness
        self.distance = distance
        self.cutoff = cutoff
        self.switch = switch

    def _bare(self, distance):
        decay = np.exp(-self.stiffness * (distance - self.distance))
        value = self.depth * decay * (decay - 2.0)
        return value, -2.0 * self.depth * self.stiffness * decay * (decay - 1.0)


class UniaxialAnisotropy(BaseEstimator):
    """Anisotropy ``E = -K Σ (e_i·n)²``: an easy axis n for K > 0, an easy plane for K < 0.

    Parameters
    ----------
    strength : float
        K in eV per atom.
    axis : sequence of 3 floats, default (0, 0, 1)
        Direction of n, of any length.
    """

    def __init__(self, strength, axis=(0.0, 0.0, 1.0)):
        self.strength = strength
        self.axis = axis

    def row(self):
        """Strength and unit axis, shape (4,)."""
        return np.array([self.strength, *_units([self.axis], "axis")[0]])


class CubicAnisotropy(BaseEstimator):
    """Anisotropy ``E = Σ K1 (x²y² + y²z² + z²x²) + K2 x²y²z²``, x, y, z the direction cosines.

    Parameters
    ----------
    first : float
        K1 in eV per atom. Iron, with K1 > 0, prefers the axes.
    second : float, default 0
        K2 in eV per atom.
    axes : sequence of 3 vectors, default the Cartesian axes
        At right angles to each other, of any length.
    """

    def __init__(self, first, second=0.0, axes=((1, 0, 0), (0, 1, 0), (0, 0, 1))):
        self.first = first
        self.second = second
        self.axes = axes

    def row(self):
        """K1, K2 and the unit axes, shape (11,)."""
        axes = _units(self.axes, "axes")
        if axes.shape != (3, 3) or np.abs(axes @ axes.T - np.eye(3)).max() > 1e-9:
            raise ValueError(f"axes={self.axes!r}: expected three vectors at right angles")
        return np.array([self.first, self.second, *axes.ravel()])


def _units(vectors, name):
    """Unit vectors along some vectors."""
    vectors = np.asarray(vectors, dtype=np.float64)
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    if vectors.ndim != 2 or vectors.shape[1] != 3 or not (lengths > 0).all():
        raise ValueError(f"{name}={vectors.tolist()}: expected vectors of 3 components, none zero")
    return vectors / lengths
