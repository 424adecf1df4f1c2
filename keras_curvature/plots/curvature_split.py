"""Where the curvature of each layer comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from keras_curvature._checks import checked_choice
from keras_curvature.diagnostics import CurvatureSplit
from keras_curvature.plots._axes import BLUE, GREY, ORANGE, axes_for
from keras_curvature.plots._bars import draw_bars

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_LABELS = {
    "gauss_newton": ("Gauss–Newton", BLUE),
    "activations": ("f″ of activations", ORANGE),
    "rest": ("rest", GREY),
}


def plot_curvature_split(
    split: CurvatureSplit,
    *,
    ax: Axes | None = None,
    quantity: Literal["trace", "norm"] = "trace",
) -> Axes:
    """Draws bars for the parts of the Hessian of each layer.

    Args:
        split: `keras_curvature.diagnostics.CurvatureSplit`.
        ax: Axes of matplotlib to draw into. Defaults to `None`: those of a
            new figure.
        quantity: `"trace"`, whose parts add up to that of the Hessian, or
            `"norm"`, the Frobenius norm. Defaults to `"trace"`.

    Returns:
        The axes.

    Raises:
        ImportError: without matplotlib.
        TypeError: if `split` is no `CurvatureSplit`.

    Example:

    ```python
    import keras
    import numpy as np
    from keras_curvature.diagnostics import curvature_split
    from keras_curvature.plots import plot_curvature_split

    model = keras.Sequential(
        [
            keras.Input((2,)),
            keras.layers.Dense(3, "tanh"),
            keras.layers.Dense(1),
        ]
    )
    x = np.random.default_rng(0).normal(size=(20, 2))
    split = curvature_split(model, x, x[:, :1], loss="mse")
    plot_curvature_split(split).figure.savefig("split.png")
    ```
    """
    if not isinstance(split, CurvatureSplit):
        raise TypeError(
            "`split` must be what `keras_curvature.diagnostics.curvature_split`"
            f" returns. Received: {type(split).__name__}."
        )
    checked_choice("quantity", quantity, ("trace", "norm"))
    ax = axes_for(ax)
    rows = [*split.layers, split.total]
    series = {}
    for part, (label, color) in _LABELS.items():
        found = [
            (row.traces if quantity == "trace" else row.norms)[part].value
            for row in rows
        ]
        series[label] = (color, found)
    draw_bars(ax, [row.name for row in rows], series)
    ax.set_xlabel("trace" if quantity == "trace" else "Frobenius norm")
    return ax
