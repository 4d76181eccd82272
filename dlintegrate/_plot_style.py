"""What all pictures share: axes, colours, labels."""

#: Okabe and Ito's palette, which all common forms of colour vision tell apart,
#: in an order that keeps neighbours apart in lightness too; yellow is left out.
COLORS = ("#000000", "#E69F00", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9")
_STYLES = ("-", "--", "-.", ":")
_MARKERS = "^osvDpX"
#: Units of time and temperature, by kind of state.
_TIME_UNITS = {"spin": "1/J", "phase_space": r"$\sigma\sqrt{m/\epsilon}$", "atoms": "fs"}
_TEMPERATURE_UNITS = {"spin": "J", "phase_space": r"\epsilon"}


def axes_or_new(ax):
    """The given Axes, or those of a new figure, with a light grid."""
    if ax is None:
        import matplotlib.pyplot as plt

        _, ax = plt.subplots(figsize=(5.0, 3.6), layout="constrained")
    ax.grid(True, color="0.9", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def style(index):
    """Colour, line and marker of the index-th curve; lines change once colours repeat."""
    turn, color = divmod(index, len(COLORS))
    return {
        "color": COLORS[color],
        "linestyle": _STYLES[turn % len(_STYLES)],
        "marker": _MARKERS[color],
    }


def line(style, **overrides):
    """A style as keywords of ``Axes.plot``, without markers."""
    return {k: v for k, v in style.items() if k != "marker"} | {"linewidth": 1.6} | overrides


def time_label(kind):
    """Label of the time axis for ``"spin"``, ``"phase_space"`` or ``"atoms"``."""
    return f"time ({_TIME_UNITS[kind]})"


def temperature_title(temperature, kind):
    """Title of a panel of one temperature; empty without one."""
    if temperature is None:
        return ""
    if kind == "atoms":
        return f"$T = {temperature:.4g}$ K"
    return rf"$k_BT/{_TEMPERATURE_UNITS[kind]} = {temperature:.4g}$"
