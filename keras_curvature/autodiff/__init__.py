"""Exact products with Hessians, Gauss-Newton matrices and Jacobians."""

from keras_curvature.autodiff.checking import (
    LayerCheck,
    SecondDerivativeReport,
    check_second_derivatives,
)
from keras_curvature.autodiff.curvature import Curvature
from keras_curvature.autodiff.curvature_of import curvature_of
from keras_curvature.autodiff.curvature_tape import CurvatureTape
from keras_curvature.autodiff.gauss_newton import gauss_newton_vector_product
from keras_curvature.autodiff.gradient_graph import GradientGraph
from keras_curvature.autodiff.hessian import hessian_vector_product
from keras_curvature.autodiff.jacobian import (
    Linearization,
    jacobian_vector_product,
    vector_jacobian_product,
)
from keras_curvature.autodiff.per_sample import per_sample_jacobian
from keras_curvature.autodiff.repairs import (
    SecondDerivativeError,
    exact_derivatives,
)

__all__ = [
    "Curvature",
    "CurvatureTape",
    "GradientGraph",
    "LayerCheck",
    "Linearization",
    "SecondDerivativeError",
    "SecondDerivativeReport",
    "check_second_derivatives",
    "curvature_of",
    "exact_derivatives",
    "gauss_newton_vector_product",
    "hessian_vector_product",
    "jacobian_vector_product",
    "per_sample_jacobian",
    "vector_jacobian_product",
]
