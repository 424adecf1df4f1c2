"""The density of eigenvalues, by stochastic Lanczos quadrature."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from keras_curvature._checks import checked_integer, checked_number
from keras_curvature._typing import Matrix
from keras_curvature.linalg._lanczos_quadrature import lanczos_quadrature
from keras_curvature.linalg._probes import Probes
from keras_curvature.linalg._products import Products
from keras_curvature.linalg.trace import TraceEstimate


class SpectralDensity(NamedTuple):
    """Weighted nodes for each run; they approximate the spectrum.

        (1/n)·Σᵢ f(λᵢ) ≈ the mean over the runs of Σⱼ wⱼ·f(θⱼ)

    Attributes:
        nodes: θ, NumPy array of shape (runs, steps).
        weights: w ≥ 0, shape (runs, steps). Those of a run sum to 1.
        size: n, the number of eigenvalues.
        products: Int, products with single vectors.

    Example:

    ```python
    import numpy as np
    from keras_curvature.linalg import spectral_density

    spectrum = spectral_density(np.diag(np.linspace(0, 1, 200)), steps=20)
    eigenvalues = spectrum.grid(points=100)
    density = spectrum.density(eigenvalues)  # integrates to 1
    spectrum.trace_of(np.exp).value  # about the sum of exp(λ)
    ```
    """

    nodes: np.ndarray
    weights: np.ndarray
    size: int
    products: int

    @property
    def width(self) -> float:
        """The standard width of `density`: 1 % of the range of the nodes.

        Where all are the same, 1 % of their size; where they are 0, 1.
        """
        extent, size = np.ptp(self.nodes), np.abs(self.nodes).max()
        # Rounding sets equal eigenvalues apart.
        return float((extent if extent > 1e-6 * size else size) / 100 or 1.0)

    def grid(self, *, points: int = 1000, margin: float = 4.0) -> np.ndarray:
        """Eigenvalues at equal distances, `margin` widths beyond the nodes.

        Returns:
            NumPy array of shape (points,).
        """
        beyond = margin * self.width
        return np.linspace(
            self.nodes.min() - beyond, self.nodes.max() + beyond, points
        )

    def densities(
        self, eigenvalues: ArrayLike, *, width: float | None = None
    ) -> np.ndarray:
        """The density that each run gives, smoothed by a Gaussian.

        Their spread tells how far to trust the mean.

        Args:
            eigenvalues: Where to evaluate it, array of shape (points,).
            width: Float > 0, standard deviation of the Gaussian, in units
                of the eigenvalues. Defaults to `self.width`.

        Returns:
            NumPy array of shape (runs, points).
        """
        width = self.width if width is None else width
        checked_number("width", width, above=0)
        values = np.asarray(eigenvalues, "float64")
        result = np.empty((len(self.nodes), len(values)))
        for run, (nodes, weights) in enumerate(
            zip(self.nodes, self.weights, strict=True)
        ):
            distances = (values[:, np.newaxis] - nodes) / width
            result[run] = np.exp(-(distances**2) / 2) @ weights
        return result / (width * np.sqrt(2 * np.pi))

    def density(
        self, eigenvalues: ArrayLike, *, width: float | None = None
    ) -> np.ndarray:
        """The mean of `densities`, which integrates to 1.

        Times `size` it counts eigenvalues.

        Args:
            eigenvalues: Where to evaluate it, array of shape (points,).
            width: Float > 0, standard deviation of the Gaussian, in units
                of the eigenvalues. Defaults to `self.width`.

        Returns:
            NumPy array of shape (points,).
        """
        return self.densities(eigenvalues, width=width).mean(axis=0)

    def trace_of(
        self, function: Callable[[np.ndarray], np.ndarray]
    ) -> TraceEstimate:
        """tr f(A) = Σᵢ f(λᵢ).

        Args:
            function: Callable that maps an array of eigenvalues to one of
                the same shape.

        Returns:
            `TraceEstimate`. With a single run its standard error is NaN.
        """
        terms = np.sum(self.weights * function(self.nodes), axis=1) * self.size
        error = np.nan
        if len(terms) > 1:
            error = float(np.std(terms, ddof=1) / len(terms) ** 0.5)
        return TraceEstimate(float(np.mean(terms)), error, self.products)

    def __str__(self) -> str:
        runs, steps = self.nodes.shape
        return (
            f"density of {self.size} eigenvalues, about "
            f"{self.nodes.min():.4g} to {self.nodes.max():.4g}, from {runs} "
            f"runs of {steps} steps"
        )


def spectral_density(
    operator: Matrix, *, steps: int = 100, runs: int = 10, seed: int = 0
) -> SpectralDensity:
    """The density of eigenvalues of a symmetric operator.

        φ(λ) = (1/n)·Σᵢ δ(λ − λᵢ)

    Each run takes a random vector through Lanczos steps; the eigenvalues of
    its tridiagonal matrix and the first entries of their vectors are Gauss's
    quadrature for vᵀf(A)v. The runs share the passes over the data: `steps`
    products with blocks of `runs` vectors. Vectors are not orthogonalized
    again, so that three blocks are all the memory; rounding then repeats some
    nodes, with weights that sum up rightly.

    Args:
        operator: A: a symmetric matrix, `tf.linalg.LinearOperator`, or an
            object with `shape` (n, n), `dtype` and `operator @ v` for v of
            shape (n, columns).
        steps: Int ≥ 1, Lanczos steps of each run; details of the density
            finer than about range/steps are not seen. At most n are taken.
            Defaults to `100`.
        runs: Int ≥ 1, random vectors. Defaults to `10`.
        seed: Int ≥ 0 of the random vectors. Defaults to `0`.

    Returns:
        `SpectralDensity`.

    Example:

    ```python
    import numpy as np
    from keras_curvature.linalg import spectral_density

    spectrum = spectral_density(np.diag([0.0, 1.0, 1.0, 1.0]), runs=50)
    eigenvalues = spectrum.grid()
    density = spectrum.density(eigenvalues)  # peaks at 0 and 1
    ```

    References:
        Ubaru, Chen, Saad, 2017, "Fast estimation of tr(f(A)) via stochastic
        Lanczos quadrature", SIAM J. Matrix Anal. Appl. 38(4).
        Ghorbani, Krishnan, Xiao, 2019, "An investigation into neural net
        optimization via Hessian eigenvalue density", arXiv 1901.10159.
        Chen, Trogdon, Ubaru, 2021, "Analysis of stochastic Lanczos quadrature
        for spectrum approximation", arXiv 2105.06595 (without
        reorthogonalization).
    """
    checked_integer("steps", steps, minimum=1)
    checked_integer("runs", runs, minimum=1)
    checked_integer("seed", seed, minimum=0)
    products = Products(operator)
    start = Probes(seed, products.size, products.dtype).spherical(runs)
    nodes, weights = lanczos_quadrature(
        products, start, min(steps, products.size)
    )
    return SpectralDensity(nodes, weights, products.size, products.count)
