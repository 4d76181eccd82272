"""Who is ahead: Pareto fronts, equal errors, break-even times. Functions of points alone.

A point is a dict with ``method``, ``kind``, ``error`` (after the horizon) and ``cost``, a dict
of batch to processor seconds per site and unit of time.
"""

import math
from itertools import pairwise

from .case import LEARNED

#: A cost that is not measured to better than this is not called an advantage.
MARGIN = 1.05
NEVER, UNRIVALLED = "never", "no rival so accurate"


def usable(points, batch):
    """The points whose error is finite and whose cost was measured."""
    return [
        p for p in points
        if p["error"] is not None and math.isfinite(p["error"]) and p["cost"].get(batch)
    ]  # fmt: skip


def pareto_front(points, batch):
    """The points that no other one beats in error without costing more.

    Parameters
    ----------
    points : list of dict
    batch : str

    Returns
    -------
    list of dict
        From cheap to expensive, errors falling strictly.
    """
    front, best = [], math.inf
    for point in sorted(usable(points, batch), key=lambda p: (p["cost"][batch], p["error"])):
        if point["error"] < best:
            front.append(point)
            best = point["error"]
    return front


def cost_at(points, error, batch):
    """What the cheapest method pays for an error of at most ``error``.

    Between two steps of one method the logarithm of the cost is interpolated linearly in that of
    the error: any step between them could have been taken. The same between neighbours in a
    family at one step, such as series of 20 and of 28 moments.

    Parameters
    ----------
    points : list of dict
    error : float
    batch : str

    Returns
    -------
    (float, str) or None
        Cost and method; None if no point is so accurate.
    """
    found = []
    groups = [*curves(points, batch).values(), *families(points, batch)]
    for curve in groups:
        found += [(p["cost"][batch], p["method"]) for p in curve if p["error"] <= error]
        for a, b in pairwise(curve):
            low, high = sorted((a, b), key=lambda p: p["error"])
            if 0 < low["error"] < error < high["error"]:
                x = math.log(error / low["error"]) / math.log(high["error"] / low["error"])
                name = " to ".join(dict.fromkeys((high["method"], low["method"])))
                log_cost = (1 - x) * math.log(low["cost"][batch]) + x * math.log(
                    high["cost"][batch]
                )
                found.append((math.exp(log_cost), name))
    return min(found, default=None)


def curves(points, batch):
    """Usable points by method, in the order of their steps, largest first."""
    result = {}
    for point in sorted(usable(points, batch), key=lambda p: -p["dt"]):
        result.setdefault(point["method"], []).append(point)
    return result


def families(points, batch):
    """Usable points of methods of one family at one step, by cost: a list of curves."""
    result = {}
    for point in sorted(usable(points, batch), key=lambda p: p["cost"][batch]):
        if point.get("family"):
            result.setdefault((point["family"], point["dt"]), []).append(point)
    return list(result.values())


def break_even(seconds, cost, rival):
    """Site-times after which what was spent on learning has been saved.

    Parameters
    ----------
    seconds : float
        Processor seconds of labels and training.
    cost, rival : float
        Processor seconds per site and unit of time, of the learned method and of the one that it
        replaces.

    Returns
    -------
    float or str
        ``"never"`` where the learned method is not cheaper.
    """
    return seconds / (rival - cost) if cost < rival else NEVER


def compare(points, batch):
    """Put each learned point beside the cheapest method without learning at its error.

    Parameters
    ----------
    points : list of dict
        With ``label_seconds`` and ``training_seconds`` where they are learned.
    batch : str

    Returns
    -------
    list of dict
        ``method``, ``dt``, ``error``, ``cost``, ``rival``, ``rival_cost``, ``times_cheaper``
        (None where no rival is so accurate) and ``break_even``, in site-times.
    """
    rivals = [p for p in points if p["kind"] != LEARNED]
    rows = []
    for p in usable(points, batch):
        if p["kind"] != LEARNED:
            continue
        cost, other = p["cost"][batch], cost_at(rivals, p["error"], batch)
        rival_cost, rival = (None, None) if other is None else other
        rows.append({
            "method": p["method"], "dt": p["dt"], "error": p["error"], "cost": cost,
            "rival": rival, "rival_cost": rival_cost,
            "times_cheaper": None if other is None else rival_cost / cost,
            "break_even": UNRIVALLED if other is None else break_even(
                p["label_seconds"] + p["training_seconds"], cost, rival_cost),
        })  # fmt: skip
    return rows


def verdict(rows, site="spin"):
    """Who wins, in plain words.

    Parameters
    ----------
    rows : list of dict
        What :func:`compare` returned.
    site : str

    Returns
    -------
    str
    """
    if not rows:
        return "no learned method came through: there is nothing to compare"
    winners = [r for r in rows if r["rival"] is None or r["times_cheaper"] > MARGIN]
    if not winners:
        best = max(rows, key=lambda r: r["times_cheaper"])
        return (
            f"the classical method wins here: at the error of every learned one something without "
            f"learning costs less. The closest is {best['method']} (dt {best['dt']:.3g}) at an "
            f"error of {best['error']:.2g}, which costs {1 / best['times_cheaper']:.3g} times what "
            f"{best['rival']} does"
        )
    parts = []
    for name in dict.fromkeys(r["method"] for r in winners):
        best = max(
            (r for r in winners if r["method"] == name),
            key=lambda r: math.inf if r["rival"] is None else r["times_cheaper"],
        )
        if best["rival"] is None:
            parts.append(
                f"at an error of {best['error']:.2g}, {name} is more accurate than every rival "
                "measured"
            )
        else:
            parts.append(
                f"at an error of {best['error']:.2g}, {name} (dt {best['dt']:.3g}) is "
                f"{best['times_cheaper']:.3g} times cheaper than {best['rival']} and has paid for "
                f"labels and training after {best['break_even']:.2g} {site}-times"
            )
    return f"learning wins {'; '.join(parts)}"
