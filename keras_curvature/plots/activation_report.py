"""What the activations do to the gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keras_curvature.diagnostics import ActivationReport
from keras_curvature.plots._axes import BLUE, GREY, ORANGE, axes_for
from keras_curvature.plots._bars import draw_bars

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_activation_report(
    report: ActivationReport, *, ax: Axes | None = None
) -> Axes:
    """Draws bars for each activation: passed on, saturated, dead.

    Args:
        report: `keras_curvature.diagnostics.ActivationReport`.
        ax: Axes of matplotlib to draw into. Defaults to `None`: those of a
            new figure.

    Returns:
        The axes.

    Raises:
        ImportError: without matplotlib.
        TypeError: if `report` is no `ActivationReport`.

    Example:

    ```python
    import keras
    import numpy as np
    from keras_curvature.diagnostics import activation_report
    from keras_curvature.plots import plot_activation_report

    layers = [keras.layers.Dense(4, "sigmoid") for _ in range(3)]
    model = keras.Sequential([keras.Input((2,)), *layers])
    x = np.random.default_rng(0).normal(size=(20, 2))
    report = activation_report(model, x, np.ones((20, 4)), loss="mse")
    plot_activation_report(report).figure.savefig("activations.png")
    ```
    """
    if not isinstance(report, ActivationReport):
        raise TypeError(
            "`report` must be what `keras_curvature.diagnostics."
            f"activation_report` returns. Received: {type(report).__name__}."
        )
    ax = axes_for(ax)
    rows = report.activations
    series = {
        "gradient passed on": (BLUE, [row.passed for row in rows]),
        "values saturated": (ORANGE, [row.saturated for row in rows]),
        "units dead": (GREY, [row.dead for row in rows]),
    }
    draw_bars(ax, [f"{row.name} ({row.function})" for row in rows], series)
    ax.set_xlabel("share")
    return ax
