"""Constraints of weights."""

from keras_curvature.constraints.box import Box

__all__ = ["Box"]
