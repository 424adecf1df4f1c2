"""Keras callbacks for the solvers of this package."""

from keras_curvature.callbacks.solver_progress import SolverProgress

__all__ = ["SolverProgress"]
