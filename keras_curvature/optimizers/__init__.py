"""Keras optimizers that use exact curvature."""

<<<<<<< HEAD
from keras_curvature.optimizers.levenberg_marquardt import LevenbergMarquardt
=======
from keras_curvature.optimizers.adahessian import AdaHessian
>>>>>>> main
from keras_curvature.optimizers.second_order_gradient import (
    SecondOrderGradient,
)
from keras_curvature.optimizers.sophia import Sophia

<<<<<<< HEAD
__all__ = ["LevenbergMarquardt", "SecondOrderGradient"]
=======
__all__ = ["AdaHessian", "SecondOrderGradient", "Sophia"]
>>>>>>> main
