"""From weights of elementary differentials to the shortest list of vector operations.

The trees of the sublattice flow obey ``T = X × h(Y)`` with X, Y either the spin S
or trees themselves; the order of S is 0, that of T ``ord X + ord Y + 1``.
There are 1, 2, 5, 14, 42, 132 (Catalan numbers) of order 1 to 6. Since h is
linear, a weighted sum of trees never needs every tree: terms that share X are
``X × h(Σ w Y)``, terms that share Y are ``(Σ w X) × h(Y)``, and the sums in
brackets are again sums of trees, of lower order. Only the smallest trees are made one by one.
"""

from collections import Counter, namedtuple
from functools import lru_cache

import numpy as np

#: Operations of :func:`dlintegrate._kernels.trees.sum_trees`.
FIELD, COMBINE, CROSS = 0, 1, 2
#: Most terms of one COMBINE.
N_TERMS = 4

Program = namedtuple("Program", "rows weights levels n_slots n_scratch results")
Trees = namedtuple("Trees", "pairs orders names")


@lru_cache
def trees(order):
    """Every tree up to ``order``, sorted by order; index 0 is the spin itself.

    Returns
    -------
    Trees
        ``pairs[t] = (x, y)`` for ``t = x × h(y)`` (None for the spin), ``orders``
        and readable ``names``.
    """
    pairs, orders, names = [None], [0], ["S"]
    for n in range(1, order + 1):
        new = [
            (x, y)
            for x in range(len(pairs))
            for y in range(len(pairs))
            if orders[x] + orders[y] == n - 1
        ]
        pairs += new
        orders += [n] * len(new)
        names += [f"{names[x] if x == 0 else f'({names[x]})'}×h({names[y]})" for x, y in new]
    return Trees(tuple(pairs), np.array(orders), tuple(names))


class _Builder:
    """Collects operations without repeating any; a value is ``(level, index)``.

    The *level* of a value counts the fields in it: within one level everything
    happens on the spot, one plane of the lattice after the other.
    """

    def __init__(self, table, explicit, n_sublattices):
        self.table = table
        self.explicit = explicit
        self.n_sublattices = n_sublattices
        self.operations = []  # (sublattice, level, kind, ...)
        self.known = {}

    def other(self, sublattice):
        return self.n_sublattices - 1 - sublattice

    def add(self, sublattice, level, *operation):
        key = (sublattice, level, *operation)
        if key not in self.known:
            self.known[key] = len(self.operations)
            self.operations.append(key)
        return self.known[key]

    def level(self, *values):
        return max(self.operations[v][1] for v in values)

    def field(self, value):
        sublattice, level = self.operations[value][:2]
        return self.add(self.other(sublattice), level + 1, FIELD, value)

    def combine(self, sublattice, terms):
        """Σ w v; a single term stays a pair, so that a cross product can scale it."""
        if len(terms) == 1:
            return terms[0]
        terms = tuple(sorted(terms, key=lambda term: term[1]))
        level = self.level(*(value for _, value in terms))
        return 1.0, self.add(sublattice, level, COMBINE, terms)

    def crosses(self, sublattice, products):
        """Σ w a × b over ``products`` of ``(w, a, b)``."""
        level = self.level(*(v for _, a, b in products for v in (a, b)))
        return self.add(sublattice, level, CROSS, tuple(products))

    def tree(self, sublattice, t):
        """One tree on its own."""
        if t == 0:
            return self.add(sublattice, 0, None)
        x, y = self.table.pairs[t]
        factor = self.tree(sublattice, x)
        return self.crosses(sublattice, [(1.0, factor, self.tree_field(sublattice, y))])

    def tree_field(self, sublattice, t):
        return self.field(self.tree(self.other(sublattice), t))

    def total(self, sublattice, weights):
        """``Σ weights[t] t`` as ``(w, value)``."""
        orders, pairs = self.table.orders, self.table.pairs
        terms = [(w, self.tree(sublattice, t)) for t, w in weights.items() if t in self.explicit]
        rest = {pairs[t]: w for t, w in weights.items() if t not in self.explicit}
        if not rest:
            return self.combine(sublattice, terms)
        largest = orders[max(self.explicit)]
        by_x = {x for x, y in rest if orders[y] > largest}
        by_y = {y for x, y in rest if orders[x] > largest}
        by_x |= _cover([(x, y) for x, y in rest if x not in by_x and y not in by_y])
        products = []
        for x in sorted(by_x):
            factors = {y: w for (u, y), w in rest.items() if u == x}
            if all(y in self.explicit for y in factors):
                scale, factor = self.combine(
                    sublattice, [(w, self.tree_field(sublattice, y)) for y, w in factors.items()]
                )
            else:
                # only h(S) holds the external field: keep it apart
                bare = factors.pop(0, None)
                scale, value = self.total(self.other(sublattice), factors)
                factor = self.field(value)
                if bare is not None:
                    parts = [(scale, factor), (bare, self.tree_field(sublattice, 0))]
                    scale, factor = self.combine(sublattice, parts)
            products.append((scale, self.tree(sublattice, x), factor))
        left = {pair: w for pair, w in rest.items() if pair[0] not in by_x}
        for y in sorted({y for _, y in left}):
            scale, value = self.total(sublattice, {x: w for (x, v), w in left.items() if v == y})
            products.append((scale, value, self.tree_field(sublattice, y)))
        value = self.crosses(sublattice, products)
        return self.combine(sublattice, [*terms, (1.0, value)])

    def cost(self):
        """Rough time per site, in units of one multiplication and its memory traffic."""
        cost = 0
        for _, _, kind, *rest in self.operations:
            if kind == FIELD:
                cost += 12
            elif kind == COMBINE:
                cost += 2 * len(rest[0])
            elif kind == CROSS:
                cost += 4 * len(rest[0])
        return cost


def _cover(pairs):
    """Left factors of a small set of factors, left or right, that meets every pair."""
    pairs, chosen = set(pairs), set()
    while pairs:
        count = Counter((side, pair[side]) for pair in sorted(pairs) for side in (1, 0))
        (side, factor), _ = count.most_common(1)[0]
        if side == 0:
            chosen.add(factor)
        pairs = {pair for pair in pairs if pair[side] != factor}
    return chosen


def compile_program(order, weights):
    """Plan the evaluation of ``Σ_t weights[s, t] t`` on every sublattice s.

    Parameters
    ----------
    order : int
        Largest order of a tree.
    weights : ndarray, shape (n_sublattices, n_trees)
        For :func:`trees` in their order, index 0 being the spin itself.

    Returns
    -------
    Program
        ``rows`` (n, 8) of sublattice, operation, target, up to four sources,
        flags; ``weights`` (n, 4); ``levels``, where each level begins in the rows;
        the numbers of slots that last (per plane) and of scratch slots; and the
        slot of the result on each sublattice.
    """
    table = trees(order)
    best = None
    for largest in range((order - 1) // 2, max(1, order - 1)):
        explicit = {int(t) for t in np.flatnonzero(table.orders <= largest)}
        builder = _Builder(table, explicit, len(weights))
        results = []
        for sublattice, row in enumerate(weights):
            builder.tree(sublattice, 0)
            chosen = {int(t): float(row[t]) for t in np.flatnonzero(row)}
            if not chosen:
                chosen = {0: 0.0}
            scale, value = builder.total(sublattice, chosen)
            if scale != 1.0:
                level = builder.level(value)
                value = builder.add(sublattice, level, COMBINE, ((scale, value),))
            results.append(value)
        if best is None or builder.cost() < best[0].cost():
            best = builder, results
    return _assemble(*best)


def _assemble(builder, results):
    """Order the operations by level, give every value a slot, and write the table."""
    operations = _delayed(builder.operations, set(results))
    groups = sorted({operation[:2] for operation in operations}, key=lambda key: key[::-1])
    when = [groups.index(operation[:2]) for operation in operations]
    sources = [_sources(operation) for operation in operations]
    last_use = {value: (len(groups), 0) for value in results}
    lasting, to_refresh = set(results), set()
    for value, used in enumerate(sources):
        for source in used:
            last_use[source] = max((when[value], value), last_use.get(source, (0, 0)))
            if when[source] != when[value] or operations[source][2] is None:
                lasting.add(source)
            if operations[value][2] == FIELD:
                to_refresh.add(source)
    slots = {}
    pools = [_Slots() for _ in range(builder.n_sublattices)]
    for value, operation in enumerate(operations):  # the spins are in slot 0, always
        if operation[2] is None:
            slots[value] = pools[operation[0]].take()
    scratch = _Slots()
    order, levels = [], []
    for number, (sublattice, _) in enumerate(groups):
        start = len(order)
        for value in (v for v in range(len(operations)) if when[v] == number):
            if value in slots:
                continue
            pool = pools[sublattice] if value in lasting else scratch
            slots[value] = pool.take()
            order.append(value)
            for source in set(sources[value]) - lasting:
                if last_use[source][1] == value:
                    scratch.give(slots[source])
        levels.append((sublattice, start, len(order)))
        for value in lasting & set(slots):
            if last_use[value][0] == number and operations[value][2] is not None:
                pools[operations[value][0]].give(slots[value])
    n_lasting = max(pool.size for pool in pools)
    slots = {v: slot if v in lasting or operations[v][2] is None else n_lasting + slot
             for v, slot in slots.items()}  # fmt: skip
    rows, weights, begins = [], [], [0]
    for value in order:
        for row, weight in _rows(operations[value], slots, slots[value]):
            rows.append([*row, value in to_refresh])
            weights.append(weight)
        begins.append(len(rows))
    return Program(
        np.array(rows, dtype=np.int64).reshape(-1, 9), np.array(weights).reshape(-1, N_TERMS),
        np.array([(s, begins[i], begins[j]) for s, i, j in levels], dtype=np.int64),
        n_lasting, max(scratch.size, 1),
        np.array([slots[value] for value in results], dtype=np.int64),
    )  # fmt: skip


def _delayed(operations, results):
    """Move every operation to the level where it is first needed: fewer slots, warmer cache."""
    level = [operation[1] for operation in operations]
    for value in reversed(range(len(operations))):
        kind = operations[value][2]
        users = [
            level[user] - (operations[user][2] == FIELD)
            for user in range(value + 1, len(operations))
            if value in _sources(operations[user])
        ]
        if users and kind is not None and value not in results:
            level[value] = min(users)
    return [(o[0], at, *o[2:]) for o, at in zip(operations, level, strict=True)]


class _Slots:
    """Numbers that are taken and given back."""

    def __init__(self):
        self.free, self.size = [], 0

    def take(self):
        if not self.free:
            self.free.append(self.size)
            self.size += 1
        return self.free.pop()

    def give(self, slot):
        self.free.append(slot)


def _sources(operation):
    kind, rest = operation[2], operation[3:]
    if kind == FIELD:
        return [rest[0]]
    if kind == COMBINE:
        return [value for _, value in rest[0]]
    if kind == CROSS:
        return [value for _, a, b in rest[0] for value in (a, b)]
    return []


def _rows(operation, slots, target):
    """Rows ``kind, target, n_terms, 4 sources, accumulate`` of one operation."""
    kind, rest = operation[2], operation[3:]
    if kind == FIELD:
        yield [FIELD, target, 1, slots[rest[0]], 0, 0, 0, 0], [1.0, 0.0, 0.0, 0.0]
    elif kind == COMBINE:
        for start in range(0, len(rest[0]), N_TERMS):
            terms = rest[0][start : start + N_TERMS]
            padding = [0] * (N_TERMS - len(terms))
            used = [slots[value] for _, value in terms]
            yield (
                [COMBINE, target, len(terms), *used, *padding, start > 0],
                [*(w for w, _ in terms), *padding],
            )
    else:
        for number, (w, a, b) in enumerate(rest[0]):
            yield [CROSS, target, 2, slots[a], slots[b], 0, 0, number > 0], [w, 0.0, 0.0, 0.0]
