"""Keras optimizers that use exact curvature.

Each is registered with Keras by the name of its class in the package
`keras_curvature`: `model.compile("keras_curvature>LBFGS", "mse")` makes one
with its defaults, and so does any configuration that names optimizers by
strings.
"""

from keras_curvature.optimizers.adahessian import AdaHessian
from keras_curvature.optimizers.gauss_newton import GaussNewton
from keras_curvature.optimizers.kfac import KFAC
from keras_curvature.optimizers.lbfgs import LBFGS
from keras_curvature.optimizers.levenberg_marquardt import LevenbergMarquardt
from keras_curvature.optimizers.newton_cg import NewtonCG
from keras_curvature.optimizers.second_order_gradient import (
    SecondOrderGradient,
)
from keras_curvature.optimizers.self_scaled_broyden import SelfScaledBroyden
from keras_curvature.optimizers.solver import Solver, SolverError
from keras_curvature.optimizers.sophia import Sophia
from keras_curvature.optimizers.stop_reason import StopReason

__all__ = [
    "KFAC",
    "LBFGS",
    "AdaHessian",
    "GaussNewton",
    "LevenbergMarquardt",
    "NewtonCG",
    "SecondOrderGradient",
    "SelfScaledBroyden",
    "Solver",
    "SolverError",
    "Sophia",
    "StopReason",
]
