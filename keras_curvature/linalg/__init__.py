"""Matrix-free algorithms and solvers of damped least squares."""

from keras_curvature.linalg.conjugate_gradient import conjugate_gradient
from keras_curvature.linalg.dual_equations import DualEquations
from keras_curvature.linalg.normal_equations import NormalEquations
from keras_curvature.linalg.stacked_qr import StackedQR
from keras_curvature.linalg.trust_region import trust_region_step

__all__ = [
    "DualEquations",
    "NormalEquations",
    "StackedQR",
    "conjugate_gradient",
    "trust_region_step",
]
