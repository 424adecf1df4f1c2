"""Exact curvature for Keras 3 on TensorFlow."""

from keras_curvature._backend import require_tensorflow_backend

require_tensorflow_backend()

from keras_curvature import (  # noqa: E402
    autodiff,
    callbacks,
    diagnostics,
    layers,
    linalg,
    losses,
    operators,
    optimizers,
    plots,
    training,
    uncertainty,
)
from keras_curvature._version import __version__  # noqa: E402
from keras_curvature.training import Model, Sequential, solve  # noqa: E402

__all__ = [
    "Model",
    "Sequential",
    "__version__",
    "autodiff",
    "callbacks",
    "diagnostics",
    "layers",
    "linalg",
    "losses",
    "operators",
    "optimizers",
    "plots",
    "solve",
    "training",
    "uncertainty",
]
