"""Keras models that train under nested tapes, and their training."""

from keras_curvature.training.curve import Curve
from keras_curvature.training.functional import Functional
from keras_curvature.training.model import Model
from keras_curvature.training.points import (
    latin_hypercube_points,
    lattice_points,
    uniform_points,
)
from keras_curvature.training.residual_based_points import (
    residual_based_points,
)
from keras_curvature.training.sequential import Sequential
from keras_curvature.training.solve import solve
from keras_curvature.training.solve_result import SolveResult, SolveStatus
from keras_curvature.training.training_step import TrainingStep

__all__ = [
    "Curve",
    "Functional",
    "Model",
    "Sequential",
    "SolveResult",
    "SolveStatus",
    "TrainingStep",
    "latin_hypercube_points",
    "lattice_points",
    "residual_based_points",
    "solve",
    "uniform_points",
]
