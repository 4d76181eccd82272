"""The picture of a benchmark: error against cost, what is learned in colour."""

from .._plot_style import COLORS, axes_or_new
from ..persistence import replacing
from .case import CLASSICAL, EXTERNAL, LEARNED, NULL
from .harness import MANY, ONE
from .pareto import curves, pareto_front

#: Classical methods are grey, and told apart by markers and strokes; what is learned has colours.
_GREYS = ("0.25", "0.45", "0.6", "0.7")
_STROKES = ("-", (0, (5, 1.5)), (0, (1, 1)), (0, (4, 1, 1, 1)))
_SHAPES = "os^vD<>pPX"
_ACCENTS = COLORS[3:4] + COLORS[2:3] + COLORS[4:6] + COLORS[1:2] + COLORS[6:]
_BAND, _FRONT = "#F6E3A1", "Pareto front"
_HEADINGS = {
    LEARNED: "learned", CLASSICAL: "classical", EXTERNAL: "other programs", NULL: "nothing learned",
}  # fmt: skip


def draw_benchmark(results, path=None):
    """Draw the two panels, one state at a time and many, with the legend at their side.

    Parameters
    ----------
    results : dict
        What :func:`~dlintegrate.benchmark.run_benchmark` returned, or its JSON.
    path : str or path-like, optional
        Write PNG, SVG or PDF, as the suffix says.

    Returns
    -------
    matplotlib.figure.Figure
    """
    import matplotlib.pyplot as plt

    case, points = results["case"], results["points"]
    with plt.rc_context({"svg.hashsalt": case["name"], "font.size": 9}):
        figure, axes = plt.subplots(
            1, 2, figsize=(10.2, 4.9), sharex=True, sharey=True, layout="constrained"
        )
        looks = _looks(points)
        for ax, batch in zip(axes, (ONE, MANY), strict=True):
            _panel(axes_or_new(ax), results, batch, looks)
        axes[0].set_ylabel(
            f"rms error per {case['site']} after t = {case['horizon']:g} ({case['time_unit']})"
        )
        axes[0].set_title("one state at a time", fontsize=9, loc="left")
        axes[1].set_title(f"{case['batch']} states at once", fontsize=9, loc="left")
        figure.supxlabel(f"processor time per {case['site']} and unit of time (s)", fontsize=9)
        figure.suptitle(case["title"], fontsize=10.5, x=0.01, ha="left", weight="bold")
        _legend(figure, axes, {p["method"]: p["kind"] for p in points})
        if path is not None:
            suffix = str(path).rpartition(".")[2]
            metadata = {"Date": None} if suffix == "svg" else None
            with replacing(path) as temporary:
                figure.savefig(temporary, format=suffix, dpi=160, metadata=metadata)
            plt.close(figure)
    return figure


def _looks(points):
    """Name of a method to keywords of ``Axes.plot``."""
    names = dict.fromkeys((p["method"], p["kind"]) for p in points)
    looks, count = {}, dict.fromkeys((CLASSICAL, EXTERNAL, NULL, LEARNED), 0)
    for name, kind in names:
        k = count[kind]
        count[kind] += 1
        shape = _SHAPES[k % len(_SHAPES)]
        if kind == LEARNED:
            looks[name] = {
                "color": _ACCENTS[k % len(_ACCENTS)], "marker": shape, "markersize": 8,
                "markeredgecolor": "white", "markeredgewidth": 0.8, "linewidth": 1.8, "zorder": 5,
            }  # fmt: skip
        elif kind == NULL:
            looks[name] = {
                "color": "0.1", "marker": "+x1234"[k % 6], "markersize": 8, "linestyle": "none",
                "markeredgewidth": 1.4, "zorder": 4,
            }  # fmt: skip
        else:
            looks[name] = {
                "color": "#7B5EA7" if kind == EXTERNAL else _GREYS[k % len(_GREYS)],
                "marker": shape, "markersize": 3.8, "linewidth": 1.1, "zorder": 3,
                "linestyle": _STROKES[k // len(_GREYS) % len(_STROKES)],
            }  # fmt: skip
    return looks


def _panel(ax, results, batch, looks):
    points = results["points"]
    _front(ax, pareto_front(points, batch), batch)
    kinds = {p["method"]: p["kind"] for p in points}
    for name, curve in curves(points, batch).items():
        x, y = [p["cost"][batch] for p in curve], [p["error"] for p in curve]
        ax.plot(x, y, label=name, **looks[name])
        if kinds[name] == LEARNED:
            low, high = zip(*(_range(p) for p in curve), strict=True)
            ax.vlines(x, low, high, color=looks[name]["color"], linewidth=1.4, zorder=4)
    for k, (name, row) in enumerate(results["predictions"].items()):
        ax.axhline(
            row["error"], color="0.4", linestyle=("--", ":")[k % 2], linewidth=1, zorder=1,
            label=name,
        )  # fmt: skip
    ax.set(xscale="log", yscale="log")


def _legend(figure, axes, kinds):
    """Groups with headings: what is learned first."""
    from matplotlib.lines import Line2D

    found = {h.get_label(): h for ax in axes for h in ax.get_legend_handles_labels()[0]}
    handles, labels = [found.pop(_FRONT)], [_FRONT]
    groups = {heading: {} for heading in _HEADINGS.values()}
    for name in sorted(found, key=list(kinds | found).index):  # in the order of the case
        groups[_HEADINGS[kinds.get(name, NULL)]][name] = found[name]
    for heading, mine in groups.items():
        if mine:
            handles += [Line2D([], [], linestyle="none"), *mine.values()]
            labels += [heading, *mine]
    legend = figure.legend(
        handles, labels, loc="outside right center", frameon=False, fontsize=8, handlelength=2.4,
        labelspacing=0.35,
    )  # fmt: skip
    for text in legend.get_texts():
        if text.get_text() in groups:
            text.set(weight="bold", x=-20)


def _range(point):
    """Smallest and largest error of the seeds."""
    each = point.get("error_of_seeds") or [point["error"]]
    return min(each), max(each)


def _front(ax, front, batch):
    """A wide band through the points that none beats."""
    ax.plot(
        [p["cost"][batch] for p in front], [p["error"] for p in front], color=_BAND, linewidth=9,
        solid_capstyle="round", solid_joinstyle="round", zorder=0.5, label=_FRONT,
    )  # fmt: skip
