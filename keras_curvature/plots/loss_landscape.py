"""The loss on a line or a plane."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from keras_curvature.diagnostics import LossLandscape
from keras_curvature.plots._axes import BLUE, ORANGE, axes_for

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_LEVELS = 20


def plot_loss_landscape(
    landscape: LossLandscape, *, ax: Axes | None = None
) -> Axes:
    """Draws a line of losses, or a map with lines of equal loss.

    A cross is at the weights of the model. The scale of the losses is
    logarithmic where all are positive and the largest is at least 100 times
    the smallest. Points with a loss that is not finite stay blank.

    Args:
        landscape: `keras_curvature.diagnostics.LossLandscape`.
        ax: Axes of matplotlib to draw into. Defaults to `None`: those of a
            new figure.

    Returns:
        The axes.

    Raises:
        ImportError: without matplotlib.
        TypeError: if `landscape` is no `LossLandscape`.
        ValueError: if no loss is finite.

    Example:

    ```python
    import numpy as np
    from keras_curvature.diagnostics import LossLandscape
    from keras_curvature.plots import plot_loss_landscape

    a = np.linspace(-1, 1, 21)
    bowl = a[:, np.newaxis] ** 2 + 5 * a**2
    ax = plot_loss_landscape(LossLandscape((a, a), bowl, 0.0))
    ax.figure.savefig("landscape.png")
    ```
    """
    if not isinstance(landscape, LossLandscape):
        raise TypeError(
            "`landscape` must be what `keras_curvature.diagnostics."
            f"loss_landscape` returns. Received: {type(landscape).__name__}."
        )
    losses = np.asarray(landscape.losses, "float64")
    finite = losses[np.isfinite(losses)]
    if not finite.size:
        raise ValueError(
            "`landscape` must have a finite loss at one point at least. "
            "Received: none. Make `distance` smaller."
        )
    ax = axes_for(ax)
    low, high = finite.min(), finite.max()
    is_logarithmic = low > 0 and high >= 100 * low
    if losses.ndim == 1:
        _draw_line(ax, landscape, losses, is_logarithmic)
    else:
        _draw_map(ax, landscape, losses, low, high, is_logarithmic)
    return ax


def _draw_line(ax, landscape, losses, is_logarithmic):
    ax.plot(landscape.coordinates[0], losses, color=BLUE)
    if np.isfinite(landscape.loss):
        ax.plot(0, landscape.loss, "x", color=ORANGE)
    if is_logarithmic:
        ax.set_yscale("log")
    ax.margins(x=0)
    ax.set_xlabel("distance along the direction")
    ax.set_ylabel("loss")


def _draw_map(ax, landscape, losses, low, high, is_logarithmic):
    from matplotlib import colors

    if low == high:
        # A plain has no lines of equal loss, but a color.
        high = low + max(abs(low), 1.0) * 1e-3
    between = np.geomspace if is_logarithmic else np.linspace
    scale = colors.LogNorm if is_logarithmic else colors.Normalize
    levels = between(low, high, _LEVELS)
    # The ends are losses themselves, which rounding may leave outside.
    levels[0], levels[-1] = low, high
    # The first direction is the horizontal one.
    values = np.ma.masked_invalid(losses).T
    first, second = landscape.coordinates
    filled = ax.contourf(
        first, second, values, levels, norm=scale(low, high), cmap="viridis"
    )
    ax.contour(first, second, values, levels, colors="white", linewidths=0.4)
    ax.plot(0, 0, "x", color=ORANGE)
    bar = ax.figure.colorbar(
        filled, ax=ax, label="loss", format="%.3g", fraction=0.046
    )
    bar.set_ticks(levels[:: _LEVELS // 5])
    bar.minorticks_off()
    ax.set_aspect("equal")
    ax.set_xlabel("distance along the first direction")
    ax.set_ylabel("along the second")
