"""Keras optimizers that use exact curvature."""

from keras_curvature.optimizers.levenberg_marquardt import LevenbergMarquardt
from keras_curvature.optimizers.second_order_gradient import (
    SecondOrderGradient,
)

__all__ = ["LevenbergMarquardt", "SecondOrderGradient"]
