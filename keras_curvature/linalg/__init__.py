"""Algorithms that know a matrix by its products, and damped least squares."""

from keras_curvature.linalg.condition_number import (
    ConditionNumber,
    condition_number,
)
from keras_curvature.linalg.conjugate_gradient import (
    LinearSolution,
    conjugate_gradient,
)
from keras_curvature.linalg.diagonal import DiagonalEstimate, diagonal
from keras_curvature.linalg.dual_equations import DualEquations
from keras_curvature.linalg.eigenpairs import Eigenpairs, eigenpairs
from keras_curvature.linalg.least_squares_system import (
    DampedFactor,
    LeastSquaresSystem,
)
from keras_curvature.linalg.log_determinant import log_determinant
from keras_curvature.linalg.normal_equations import NormalEquations
from keras_curvature.linalg.norms import frobenius_norm, spectral_norm
from keras_curvature.linalg.spectral_density import (
    SpectralDensity,
    spectral_density,
)
from keras_curvature.linalg.stacked_qr import StackedQR
from keras_curvature.linalg.steihaug import SteihaugSteps, steihaug
from keras_curvature.linalg.trace import TraceEstimate, trace
from keras_curvature.linalg.trust_region import trust_region_step

__all__ = [
    "ConditionNumber",
    "DampedFactor",
    "DiagonalEstimate",
    "DualEquations",
    "Eigenpairs",
    "LeastSquaresSystem",
    "LinearSolution",
    "NormalEquations",
    "SpectralDensity",
    "StackedQR",
    "SteihaugSteps",
    "TraceEstimate",
    "condition_number",
    "conjugate_gradient",
    "diagonal",
    "eigenpairs",
    "frobenius_norm",
    "log_determinant",
    "spectral_density",
    "spectral_norm",
    "steihaug",
    "trace",
    "trust_region_step",
]
