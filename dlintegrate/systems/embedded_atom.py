"""Embedded-atom potentials: Finnis and Sinclair's for iron, and tables from a file."""

import os

import numpy as np
from sklearn.base import BaseEstimator

from .._kernels.radial import LOWEST, quintic_rows
from .interactions import RadialLaw, positive


class FinnisSinclair(BaseEstimator):
    """``E = ½ Σ_{i≠j} V(r_ij) - A Σ_i √ρ_i``, ``ρ_i = Σ_j φ(r_ij)``, of one element.

    ``V = (r - c)² (c0 + c1 r + c2 r²)`` below c, ``φ = (r - d)² + β (r - d)³ / d`` below d
    (Finnis and Sinclair, Philos. Mag. A 50, 45, 1984). The defaults are bcc iron:
    lattice constant 2.8665 Å, cohesive energy 4.28 eV.

    Parameters
    ----------
    amplitude : float
        A in eV/Å.
    beta : float
        β.
    pair_cutoff, density_cutoff : float
        c and d in Å.
    coefficients : sequence of 3 floats
        c0, c1, c2 in eV/Å², eV/Å³, eV/Å⁴.
    """

    def __init__(
        self, amplitude=1.828905, beta=1.8, pair_cutoff=3.4, density_cutoff=3.569745,
        coefficients=(1.2371147, -0.3592185, -0.0385607),
    ):  # fmt: skip
        self.amplitude = amplitude
        self.beta = beta
        self.pair_cutoff = pair_cutoff
        self.density_cutoff = density_cutoff
        self.coefficients = coefficients

    def pair_table(self, one, other):
        """Table of V between two elements."""
        return _FinnisSinclairPair(positive(self, "pair_cutoff"), self.coefficients).table()

    def density_table(self, site, source):
        """Table of φ at an atom of one element from one of another."""
        return _FinnisSinclairDensity(positive(self, "density_cutoff"), self.beta).table()

    def embedding_of(self, element):
        """Amplitude of ``-A √ρ``."""
        return positive(self, "amplitude")


class _FinnisSinclairPair(RadialLaw):
    def __init__(self, cutoff, coefficients):
        self.cutoff = cutoff
        self.coefficients = coefficients

    def evaluate(self, distance):
        c0, c1, c2 = self.coefficients
        inside = distance - self.cutoff
        factor = c0 + distance * (c1 + distance * c2)
        return inside**2 * factor, inside * (2 * factor + inside * (c1 + 2 * c2 * distance))


class _FinnisSinclairDensity(RadialLaw):
    def __init__(self, cutoff, beta):
        self.cutoff = cutoff
        self.beta = beta

    def evaluate(self, distance):
        inside, steep = distance - self.cutoff, self.beta / self.cutoff
        return inside**2 * (1 + steep * inside), inside * (2 + 3 * steep * inside)


class EmbeddedAtom(BaseEstimator):
    """Embedded-atom potential from tables, of one or several elements.

    ``E = ½ Σ_{i≠j} φ(r_ij) + Σ_i F(ρ_i)``, ``ρ_i = Σ_j ρ(r_ij)`` (Daw and Baskes, Phys. Rev. B
    29, 6443, 1984). Usually made by :meth:`from_setfl` or :meth:`from_functions`. Between the
    points of the tables run cubics with slopes from five-point differences: exactly the function
    that LAMMPS uses.

    Parameters
    ----------
    elements : sequence of str
        Chemical symbols.
    cutoff : float
        In Å.
    spacing, density_spacing : float
        Distance of the points in r (Å) and in ρ; both tables begin at 0.
    pair : ndarray, shape (n_elements, n_elements, n_points)
        r φ(r) in eV Å.
    density : ndarray, shape (n_elements, n_elements, n_points)
        ρ(r) at an atom of the first element from one of the second.
    embedding : ndarray, shape (n_elements, n_densities)
        F(ρ) in eV. Beyond its last point F goes on as a straight line.
    """

    def __init__(self, elements, cutoff, spacing, density_spacing, pair, density, embedding):
        self.elements = elements
        self.cutoff = cutoff
        self.spacing = spacing
        self.density_spacing = density_spacing
        self.pair = pair
        self.density = density
        self.embedding = embedding

    @classmethod
    def from_setfl(cls, path):
        """Read a DYNAMO/LAMMPS file ``*.eam.alloy`` or ``*.eam.fs`` (setfl).

        Which of the two it is, the amount of numbers tells.

        Parameters
        ----------
        path : str or path-like

        Returns
        -------
        EmbeddedAtom
            Holds the numbers; the file is not needed again.

        Raises
        ------
        ValueError
            If the file has another form.
        """
        with open(path) as file:
            lines = file.read().splitlines()
        try:
            return cls(**_parse_setfl(lines))
        except (ValueError, IndexError) as error:
            raise ValueError(
                f"{os.fspath(path)} is no setfl file (eam.alloy or eam.fs): {error}"
            ) from None

    @classmethod
    def from_functions(
        cls, pair, density, embedding, cutoff, max_density, element="Fe", n_points=5000
    ):
        """Tabulate functions of one element.

        Parameters
        ----------
        pair, density : callable
            φ(r) in eV and ρ(r), of arrays of distances in Å; zero at and beyond the cutoff.
        embedding : callable
            F(ρ) in eV, of arrays of densities.
        cutoff : float
            In Å.
        max_density : float
            End of the table of F; several times the density of the crystal.
        element : str, default "Fe"
        n_points : int, default 5000
            Of each table.

        Returns
        -------
        EmbeddedAtom
        """
        r = np.linspace(0.0, cutoff, n_points)
        rho = np.linspace(0.0, max_density, n_points)
        with np.errstate(divide="ignore", invalid="ignore"):
            scaled = r * pair(r)
        if not np.isfinite(scaled[0]):  # only the interval next to r = 0 notices
            scaled[0] = 2 * scaled[1] - scaled[2]
        return cls(
            (element,), cutoff, r[1], rho[1], scaled[None, None], density(r)[None, None],
            embedding(rho)[None],
        )  # fmt: skip

    def _index(self, element):
        if element not in self.elements:
            raise ValueError(
                f"species {element!r} is not among the elements of the EmbeddedAtom potential, "
                f"{list(self.elements)}"
            )
        return list(self.elements).index(element)

    def pair_table(self, one, other):
        """Table of φ between two elements."""
        scaled = _spline(self.pair[self._index(one), self._index(other)], self.spacing)

        def law(r):
            value, slope = scaled(r)
            return value / r, (slope - value / r) / r

        return self._table(law)

    def density_table(self, site, source):
        """Table of ρ at an atom of one element from one of another."""
        values = self.density[self._index(site), self._index(source)]
        return self._table(_spline(values, self.spacing))

    def embedding_of(self, element):
        """Table of F."""
        values = np.asarray(self.embedding[self._index(element)])
        step, n = positive(self, "density_spacing"), len(values) - 1
        return 0.0, step, np.inf, quintic_rows(_spline(values, step), 0.0, step, n)

    def _table(self, law):
        """Table whose nodes are points of the given one, so that no kink is smeared out."""
        step = positive(self, "spacing")
        cutoff = min(positive(self, "cutoff"), step * (np.shape(self.pair)[-1] - 1))
        first = int(np.ceil(LOWEST / step))
        n = int(np.ceil(cutoff / step - 1e-9)) - first
        return first * step, step, cutoff, quintic_rows(law, first * step, step, n)


def _spline(values, step):
    """Value and slope of the cubics through equidistant points, slopes by five-point differences.

    The last two points at each end have fewer neighbours: there, two- and three-point differences.
    """
    f = np.asarray(values, dtype=np.float64)
    slopes = np.gradient(f)
    slopes[2:-2] = (f[:-4] - f[4:] + 8.0 * (f[3:-1] - f[1:-3])) / 12.0

    def law(x):
        m = np.clip((np.asarray(x) / step).astype(np.int64), 0, len(f) - 2)
        t = x / step - m
        begin, rise = slopes[m], f[m + 1] - f[m]
        square, cube = 3 * rise - 2 * begin - slopes[m + 1], begin + slopes[m + 1] - 2 * rise
        value = f[m] + t * (begin + t * (square + t * cube))
        return value, (begin + t * (2 * square + 3 * t * cube)) / step

    return law


def _parse_setfl(lines):
    """Parameters of EmbeddedAtom from the lines of a file, of either form."""
    count, *elements = lines[3].split()
    n = int(count)
    if len(elements) != n:
        raise ValueError(f"line 4 announces {n} elements and names {len(elements)}")
    n_rho, d_rho, n_r, d_r, cutoff = lines[4].split()[:5]
    n_rho, n_r = int(n_rho), int(n_r)
    words = " ".join(lines[5:]).split()
    by_site = len(words) >= _n_words(n, n_rho, n_r, n)
    if not by_site and len(words) < _n_words(n, n_rho, n_r, 1):
        raise ValueError(
            f"it has {len(words)} numbers after line 5, expected {_n_words(n, n_rho, n_r, 1)}"
        )
    numbers = iter(words)

    def take(amount):
        return np.array([float(next(numbers)) for _ in range(amount)])

    embedding, pair = np.empty((n, n_rho)), np.empty((n, n, n_r))
    density = np.empty((n, n, n_r))
    for source in range(n):
        for _ in range(4):
            next(numbers)  # atomic number, mass, lattice constant, name of the lattice
        embedding[source] = take(n_rho)
        density[:, source] = take((n if by_site else 1) * n_r).reshape(-1, n_r)
    for one in range(n):
        for other in range(one + 1):
            pair[one, other] = pair[other, one] = take(n_r)
    return {
        "elements": tuple(elements), "cutoff": float(cutoff), "spacing": float(d_r),
        "density_spacing": float(d_rho), "pair": pair, "density": density, "embedding": embedding,
    }  # fmt: skip


def _n_words(n, n_rho, n_r, sites):
    """Numbers of a setfl file after its fifth line."""
    return n * (4 + n_rho + sites * n_r) + n * (n + 1) // 2 * n_r
