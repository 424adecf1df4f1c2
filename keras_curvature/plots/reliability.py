"""How often predictions are right, beside how sure they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from keras_curvature.plots._axes import BLUE, GREY, axes_for
from keras_curvature.uncertainty.calibration import Reliability

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_reliability(
    reliability: Reliability, *, ax: Axes | None = None
) -> Axes:
    """Draws the accuracy of predictions over their confidence.

    Bars are the bins, with the share of the predictions in them as their
    strength; points on the diagonal are as sure as they should be.

    Args:
        reliability: `keras_curvature.uncertainty.Reliability`.
        ax: Axes of matplotlib to draw into. Defaults to `None`: those of a
            new figure.

    Returns:
        The axes.

    Raises:
        ImportError: without matplotlib.
        ValueError: if `reliability` is something else.

    Example:

    ```python
    import numpy as np
    from keras_curvature.plots import plot_reliability
    from keras_curvature.uncertainty import reliability

    rng = np.random.default_rng(0)
    sure = rng.uniform(size=500)
    labels = rng.uniform(size=500) < sure
    ax = plot_reliability(reliability(sure, labels, bins=10))
    ax.figure.savefig("reliability.png")
    ```
    """
    if not isinstance(reliability, Reliability):
        raise ValueError(
            "`reliability` must be what keras_curvature.uncertainty."
            f"reliability() returns. Received: {type(reliability).__name__}."
        )
    ax = axes_for(ax)
    edges, counts = reliability.edges, reliability.counts
    filled = counts > 0
    ax.plot([0, 1], [0, 1], "--", color=GREY, lw=1, label="as it should be")
    bars = ax.bar(
        edges[:-1][filled],
        reliability.accuracy[filled],
        np.diff(edges)[filled],
        align="edge",
        color=BLUE,
        edgecolor="white",
    )
    for bar, count in zip(bars, counts[filled], strict=True):
        # In this order the strongest is 1 exactly, the most there is.
        bar.set_alpha(0.2 + 0.8 * (count / counts.max()))
    ax.plot(
        reliability.confidence[filled],
        reliability.accuracy[filled],
        "o",
        color=BLUE,
        label="accuracy",
    )
    ax.set(
        xlabel="confidence", ylabel="share that is right", xlim=(0, 1),
        ylim=(0, 1),
        title=f"calibration error {reliability.expected_calibration_error:.3f}",
    )  # fmt: skip
    ax.legend(loc="upper left", frameon=False)
    return ax
