"""Curvature matrices of Keras models over data sets."""

from keras_curvature.operators.curvature_operator import CurvatureOperator
from keras_curvature.operators.fisher import Fisher
from keras_curvature.operators.gauss_newton import GaussNewton
from keras_curvature.operators.gradient_covariance import GradientCovariance
from keras_curvature.operators.hessian import Hessian
from keras_curvature.operators.jacobian import Jacobian
from keras_curvature.operators.triangular_factor import (
    TriangularFactor,
    triangular_factor,
)

__all__ = [
    "CurvatureOperator",
    "Fisher",
    "GaussNewton",
    "GradientCovariance",
    "Hessian",
    "Jacobian",
    "TriangularFactor",
    "triangular_factor",
]
