"""Where and how all plots are drawn."""

# Of Okabe and Ito's palette, which color-blind readers can tell apart.
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#999999"


def axes_for(ax):
    """The axes given, or those of a new figure."""
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError(
            "`keras_curvature.plots` needs matplotlib. Install it by "
            "`pip install keras_curvature[plots]`."
        ) from error
    return pyplot.subplots(layout="constrained")[1] if ax is None else ax


def draw_zero_line(ax):
    """A line at 0, which is not in the way of others."""
    ax.axhline(0, color=GREY, linewidth=0.8, zorder=0)
