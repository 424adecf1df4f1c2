"""Keras optimizers that use exact curvature."""

from keras_curvature.optimizers.adahessian import AdaHessian
from keras_curvature.optimizers.second_order_gradient import (
    SecondOrderGradient,
)
from keras_curvature.optimizers.sophia import Sophia

__all__ = ["AdaHessian", "SecondOrderGradient", "Sophia"]
