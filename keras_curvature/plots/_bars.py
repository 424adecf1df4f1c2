"""Bars side by side, a group for each layer."""

import numpy as np


def draw_bars(ax, names, series):
    """Horizontal bars with the first layer on top.

    Args:
        ax: Axes of matplotlib.
        names: List of strings.
        series: Dict from a label to a color and a list of as many numbers, or
            None for what is not known.
    """
    positions = np.arange(len(names))
    height = 0.8 / len(series)
    for k, (label, (color, values)) in enumerate(series.items()):
        numbers = [np.nan if value is None else value for value in values]
        offset = (k - (len(series) - 1) / 2) * height
        ax.barh(positions + offset, numbers, height, color=color, label=label)
    ax.set_yticks(positions, names)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.axvline(0, color="black", linewidth=0.8)
    # Above, where no bar is.
    ax.legend(
        loc="lower center",
        bbox_to_anchor=(0.5, 1),
        ncols=len(series),
        frameon=False,
        columnspacing=1,
    )
