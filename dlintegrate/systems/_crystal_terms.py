"""Which table serves which pair of atoms: from laws to what the kernels of a crystal read."""

from itertools import product

import numpy as np

from .._kernels.radial import joined
from .._kernels.spin_lattice import Terms
from .embedded_atom import FinnisSinclair
from .interactions import BetheSlater, CubicAnisotropy, CubicExchange, Morse, UniaxialAnisotropy

EXCHANGES = {"cubic": CubicExchange, "bethe-slater": BetheSlater}
POTENTIALS = {"morse": Morse, "finnis-sinclair": FinnisSinclair}


def crystal_terms(species, moments, exchange, potential, field, anisotropy, offset):
    """Tables and terms of a crystal, and how far its exchange reaches.

    Parameters
    ----------
    species : list of str
    moments : ndarray, shape (n_atoms,)
        In μB.
    exchange, potential, anisotropy, offset
        Parameters of :class:`SpinLatticeCrystal`.
    field : ndarray, shape (3,)
        In eV/μB.

    Returns
    -------
    tables : Tables
    terms : Terms
    exchange_cutoff : float
        In Å.
    """
    kinds, kind = np.unique(
        [f"{s} {int(m > 0)}" for s, m in zip(species, moments, strict=True)], return_inverse=True
    )
    made = _Tabulation([str(name).split() for name in kinds])
    couplings = made.exchange(_named("exchange", exchange, EXCHANGES))
    laws = made.potential(_named("pair_potential", potential, POTENTIALS))
    tables = joined(made.tables)
    terms = Terms(
        kind.reshape(-1).astype(np.int64), _inverse(moments), couplings, *laws,
        max([0.0, *made.cutoffs]), bool((laws[1] >= 0).any()), float(bool(offset)), field,
        *_single_spin_terms(anisotropy),
    )  # fmt: skip
    reach = max([0.0, *(tables.cutoff[k] for k in np.unique(couplings) if k >= 0)])
    return tables, terms, reach


class _Tabulation:
    """Tables of laws, each made once, and which pair of kinds looks up which."""

    def __init__(self, kinds):
        self.kinds = kinds  # (symbol, "1" with a moment or "0")
        self.tables, self.cutoffs, self._numbers = [], [], {}
        self._held = []  # laws stay alive, or another could get the identity of one

    def _number(self, key, make):
        if key not in self._numbers:
            self._numbers[key] = len(self.tables)
            self.tables.append(make())
            if np.isfinite(self.tables[-1][2]):
                self.cutoffs.append(self.tables[-1][2])
        return self._numbers[key]

    def _empty(self):
        return np.full((len(self.kinds),) * 2, -1, dtype=np.int64)

    def _pairs(self, law_of):
        """Numbers of the tables of laws ``law_of(symbol, symbol)``; None is no law."""
        result = self._empty()
        for (a, (one, _)), (b, (other, _)) in product(enumerate(self.kinds), repeat=2):
            law = law_of(one, other)
            if law is not None:
                self._held.append(law)
                result[a, b] = self._number(id(law), law.table)
        return result

    def exchange(self, law):
        result = self._pairs(_by_pair("exchange", law, self._symbols()))
        magnetic = np.array([carries == "1" for _, carries in self.kinds])
        result[~(magnetic[:, None] & magnetic)] = -1
        return result

    def potential(self, law):
        """Tables of pairs, of densities and of embedding, and amplitudes of roots."""
        n = len(self.kinds)
        nothing = np.full(n, -1, dtype=np.int64), np.zeros(n)
        if not hasattr(law, "embedding_of"):
            pair = self._pairs(_by_pair("pair_potential", law, self._symbols()))
            return pair, self._empty(), *nothing
        pair, density, (embedding, root) = self._empty(), self._empty(), nothing
        for (a, (one, _)), (b, (other, _)) in product(enumerate(self.kinds), repeat=2):
            first, second = sorted((one, other))
            pair[a, b] = self._number(
                ("pair", first, second), lambda i=first, j=second: law.pair_table(i, j)
            )
            density[a, b] = self._number(
                ("density", one, other), lambda i=one, j=other: law.density_table(i, j)
            )
        for a, (symbol, _) in enumerate(self.kinds):
            made = law.embedding_of(symbol)
            if isinstance(made, tuple):
                embedding[a] = self._number(("embedding", symbol), lambda made=made: made)
            else:
                root[a] = made
        return pair, density, embedding, root

    def _symbols(self):
        return {symbol for symbol, _ in self.kinds}


def _by_pair(name, law, symbols):
    """The law of each pair of elements, as a function of both."""
    if not isinstance(law, dict):
        return lambda one, other: law
    table = {}
    for key, value in law.items():
        ends = str(key).split("-")
        if len(ends) != 2 or not set(ends) <= symbols:
            raise ValueError(
                f"{name} has the key {key!r}; expected pairs of {sorted(symbols)} such as "
                f"'{sorted(symbols)[0]}-{sorted(symbols)[-1]}'"
            )
        pair = tuple(sorted(ends))
        if pair in table:
            raise ValueError(
                f"{name} has the pair {key!r} twice, in both orders; they are one pair, give one"
            )
        table[pair] = value
    return lambda one, other: table.get(tuple(sorted((one, other))))


def _named(name, given, known):
    """A law or a dict of laws, in place of names the default ones of these."""
    if not isinstance(given, dict):
        return _law(name, given, known, whole=name == "pair_potential")
    return {key: _law(f"{name}[{key!r}]", one, known, whole=False) for key, one in given.items()}


def _law(name, given, known, whole):
    """One law or None; ``whole`` is whether it may be of all pairs at once."""
    law = known[given]() if isinstance(given, str) and given in known else given
    if hasattr(law, "embedding_of") and not whole:
        raise ValueError(
            f"{name}={given!r}: expected a law of pairs; an embedded-atom potential is of all "
            "pairs at once, and can only be the whole pair_potential"
        )
    if not (law is None or hasattr(law, "table") or hasattr(law, "embedding_of")):
        raise ValueError(f"{name}={given!r}: expected one of {sorted(known)}, a law or None")
    return law


def _single_spin_terms(anisotropy):
    """Rows of uniaxial and of cubic anisotropies, shapes (n, 4) and (n, 11)."""
    items = anisotropy if isinstance(anisotropy, list | tuple) else [anisotropy]
    rows = {UniaxialAnisotropy: [], CubicAnisotropy: []}
    for item in items:
        if item is not None and type(item) not in rows:
            raise ValueError(
                f"anisotropy={item!r}: expected UniaxialAnisotropy, CubicAnisotropy, a list of "
                "them or None"
            )
        if item is not None:
            rows[type(item)].append(item.row())
    uniaxial, cubic = rows.values()
    return np.array(uniaxial).reshape(-1, 4), np.array(cubic).reshape(-1, 11)


def _inverse(moments):
    """1/μ, and 0 where there is no moment."""
    return np.where(moments > 0, 1.0 / np.where(moments > 0, moments, 1.0), 0.0)
