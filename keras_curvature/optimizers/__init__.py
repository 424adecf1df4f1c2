"""Keras optimizers that use exact curvature."""

from keras_curvature.optimizers.lbfgs import LBFGS
from keras_curvature.optimizers.newton_cg import NewtonCG
from keras_curvature.optimizers.second_order_gradient import (
    SecondOrderGradient,
)

__all__ = ["LBFGS", "NewtonCG", "SecondOrderGradient"]
