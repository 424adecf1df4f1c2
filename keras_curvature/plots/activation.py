"""An activation and its derivatives."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from keras_curvature._checks import checked_number
from keras_curvature.layers import Activation, ElementwiseActivation
from keras_curvature.plots._axes import (
    BLUE,
    GREEN,
    ORANGE,
    axes_for,
    draw_zero_line,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_activation(
    activation: str | Callable[[tf.Tensor], tf.Tensor],
    *,
    ax: Axes | None = None,
    start: float = -6.0,
    stop: float = 6.0,
) -> Axes:
    """Draws f, f′ and f″ of an activation.

    Args:
        activation: Layer of `keras_curvature.layers`, elementwise callable,
            or the name of a Keras activation.
        ax: Axes of matplotlib to draw into. Defaults to `None`: those of a
            new figure.
        start: Float, where the axis of x begins. Defaults to `-6.0`.
        stop: Float > `start`, where it ends. Defaults to `6.0`.

    Returns:
        The axes.

    Raises:
        ImportError: without matplotlib.

    Example:

    ```python
    from keras_curvature.layers import GELU
    from keras_curvature.plots import plot_activation

    ax = plot_activation(GELU())
    ax.figure.savefig("gelu.png")
    ```
    """
    checked_number("start", start)
    checked_number("stop", stop, above=start)
    if isinstance(activation, ElementwiseActivation):
        title = activation.name
    else:
        title = getattr(activation, "__name__", str(activation))
        activation = Activation(activation)
    ax = axes_for(ax)
    # An even number, so that a kink in the middle is not among them.
    x = np.linspace(start, stop, 600)
    curves = (
        ("f", activation, BLUE, "-"),
        ("f′", activation.first_derivative, ORANGE, "--"),
        ("f″", activation.second_derivative, GREEN, "-."),
    )
    draw_zero_line(ax)
    for label, function, color, line in curves:
        y = function(tf.constant(x)).numpy()
        ax.plot(x, y, line, color=color, label=label)
    ax.set_xlabel("x")
    ax.set_title(title)
    ax.margins(x=0)
    ax.legend()
    return ax
