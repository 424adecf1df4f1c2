"""Keras models that train under nested tapes."""

from keras_curvature.training.functional import Functional
from keras_curvature.training.model import Model
from keras_curvature.training.sequential import Sequential

__all__ = ["Functional", "Model", "Sequential"]
