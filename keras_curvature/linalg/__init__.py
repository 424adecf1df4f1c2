"""Matrix-free algorithms that know only `matvec`."""

from keras_curvature.linalg.steihaug import SteihaugSteps, steihaug

__all__ = ["SteihaugSteps", "steihaug"]
