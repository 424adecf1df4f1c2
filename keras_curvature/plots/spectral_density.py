"""The density of eigenvalues."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from keras_curvature._checks import checked_integer, checked_number
from keras_curvature.linalg import SpectralDensity
from keras_curvature.plots._axes import BLUE, axes_for

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_spectral_density(
    spectrum: SpectralDensity,
    *,
    ax: Axes | None = None,
    width: float | None = None,
    points: int = 1000,
) -> Axes:
    """Draws the density of eigenvalues over a logarithmic scale.

    The band is two standard errors of the mean of the runs to each side. The
    scale ends at a tenth of the height of a single eigenvalue.

    Args:
        spectrum: `keras_curvature.linalg.SpectralDensity`.
        ax: Axes of matplotlib to draw into. Defaults to `None`: those of a
            new figure.
        width: Float > 0, standard deviation of the Gaussian for each
            eigenvalue, in their units. Defaults to `spectrum.width`.
        points: Int ≥ 2, where the density is computed. Defaults to `1000`.

    Returns:
        The axes.

    Raises:
        ImportError: without matplotlib.
        TypeError: if `spectrum` is no `SpectralDensity`.

    Example:

    ```python
    import numpy as np
    from keras_curvature.linalg import spectral_density
    from keras_curvature.plots import plot_spectral_density

    matrix = np.diag(np.r_[np.linspace(-0.1, 0.3, 200), 2.0, 5.0])
    ax = plot_spectral_density(spectral_density(matrix, steps=30))
    ax.figure.savefig("density.png")
    ```
    """
    if not isinstance(spectrum, SpectralDensity):
        raise TypeError(
            "`spectrum` must be what `keras_curvature.linalg.spectral_density` "
            f"returns. Received: {type(spectrum).__name__}."
        )
    checked_integer("points", points, minimum=2)
    width = spectrum.width if width is None else width
    checked_number("width", width, above=0)
    eigenvalues = spectrum.grid(
        points=points, margin=4 * width / spectrum.width
    )
    runs = spectrum.densities(eigenvalues, width=width)
    density = runs.mean(axis=0)
    ax = axes_for(ax)
    ax.set_yscale("log")
    if len(runs) > 1:
        error = runs.std(axis=0, ddof=1) / len(runs) ** 0.5
        # The logarithm has no room for what reaches below 0.
        low = np.maximum(density - 2 * error, np.finfo("float64").tiny)
        high = density + 2 * error
        ax.fill_between(eigenvalues, low, high, color=BLUE, alpha=0.2, lw=0)
    ax.plot(eigenvalues, density, color=BLUE)
    single = 1 / (spectrum.size * width * np.sqrt(2 * np.pi))
    ax.set_ylim(single / 10, 2 * density.max())
    ax.margins(x=0)
    ax.set_xlabel("eigenvalue")
    ax.set_ylabel("density")
    return ax
