"""Exact curvature for Keras 3 on TensorFlow."""

from keras_curvature._backend import require_tensorflow_backend

require_tensorflow_backend()

from keras_curvature import autodiff, layers, optimizers, training  # noqa: E402
from keras_curvature._version import __version__  # noqa: E402
from keras_curvature.training import Model, Sequential  # noqa: E402

__all__ = [
    "Model",
    "Sequential",
    "__version__",
    "autodiff",
    "layers",
    "optimizers",
    "training",
]
