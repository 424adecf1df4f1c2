"""Keras callbacks: solvers in plain models, curvature along a training."""

from keras_curvature.callbacks.curvature_monitor import CurvatureMonitor
from keras_curvature.callbacks.solver_progress import SolverProgress

__all__ = ["CurvatureMonitor", "SolverProgress"]
