"""Keras optimizers that use exact curvature."""

from keras_curvature.optimizers.adahessian import AdaHessian
from keras_curvature.optimizers.second_order_gradient import (
    SecondOrderGradient,
)

__all__ = ["AdaHessian", "SecondOrderGradient"]
