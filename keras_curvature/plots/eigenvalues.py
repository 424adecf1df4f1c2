"""Eigenvalues one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from keras_curvature.linalg import Eigenpairs
from keras_curvature.plots._axes import BLUE, ORANGE, axes_for, draw_zero_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_eigenvalues(
    eigenvalues: Eigenpairs | ArrayLike, *, ax: Axes | None = None
) -> Axes:
    """Draws eigenvalues from the largest to the smallest.

    Bars show the residuals, within which an eigenvalue lies for certain. What
    has not converged is drawn hollow, what is negative in orange.

    Args:
        eigenvalues: `keras_curvature.linalg.Eigenpairs`, or an array of shape
            (k,).
        ax: Axes of matplotlib to draw into. Defaults to `None`: those of a
            new figure.

    Returns:
        The axes. Their scale is logarithmic where all eigenvalues are
        positive and the largest is at least 100 times the smallest.

    Raises:
        ImportError: without matplotlib.
        ValueError: if there are no eigenvalues, or one is not finite.

    Example:

    ```python
    import numpy as np
    from keras_curvature.linalg import eigenpairs
    from keras_curvature.plots import plot_eigenvalues

    matrix = np.diag(np.linspace(-1.0, 4.0, 50))
    ax = plot_eigenvalues(eigenpairs(matrix, k=6, which="both"))
    ax.figure.savefig("eigenvalues.png")
    ```
    """
    values, residuals, converged = _sorted(eigenvalues)
    ax = axes_for(ax)
    is_logarithmic = values[-1] > 0 and values[0] >= 100 * values[-1]
    if is_logarithmic:
        ax.set_yscale("log")
    else:
        draw_zero_line(ax)
    positions = np.arange(1, len(values) + 1)
    for sign, color in ((values >= 0, BLUE), (values < 0, ORANGE)):
        for chosen, face in ((converged, color), (~converged, "none")):
            shown = sign & chosen
            if shown.any():
                ax.errorbar(
                    positions[shown],
                    values[shown],
                    residuals[shown],
                    fmt="o",
                    color=color,
                    markerfacecolor=face,
                    capsize=3,
                )
    ax.set_xlabel("rank")
    ax.set_ylabel("eigenvalue")
    ax.xaxis.get_major_locator().set_params(integer=True)
    return ax


def _sorted(eigenvalues):
    """Values, residuals and whether they have converged, descending."""
    if isinstance(eigenvalues, Eigenpairs):
        values, residuals = eigenvalues.values, eigenvalues.residuals
        converged = eigenvalues.converged
    else:
        values = np.asarray(eigenvalues, "float64")
        residuals = np.zeros_like(values)
        converged = np.ones(values.shape, bool)
    if values.ndim != 1 or not values.size or not np.isfinite(values).all():
        raise ValueError(
            "`eigenvalues` must be finite numbers of shape (k,), k ≥ 1, or "
            f"`Eigenpairs`. Received: shape {values.shape}"
            + (", not finite." if values.size else ".")
        )
    order = np.argsort(-values, kind="stable")
    return values[order], residuals[order], converged[order]
