"""What this package knows of Keras losses."""

from keras_curvature.losses.term import LossTerm

__all__ = ["LossTerm"]
