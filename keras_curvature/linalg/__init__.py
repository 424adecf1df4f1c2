"""Algorithms that know a matrix by its products, and damped least squares."""

from keras_curvature.linalg.dual_equations import DualEquations
from keras_curvature.linalg.least_squares_system import (
    DampedFactor,
    LeastSquaresSystem,
)
from keras_curvature.linalg.normal_equations import NormalEquations
from keras_curvature.linalg.stacked_qr import StackedQR
from keras_curvature.linalg.steihaug import SteihaugSteps, steihaug
from keras_curvature.linalg.trust_region import trust_region_step

__all__ = [
    "DampedFactor",
    "DualEquations",
    "LeastSquaresSystem",
    "NormalEquations",
    "StackedQR",
    "SteihaugSteps",
    "steihaug",
    "trust_region_step",
]
