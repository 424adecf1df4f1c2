"""Exact curvature for Keras 3 on TensorFlow."""

from keras_curvature._quiet import mute_log_of_command

mute_log_of_command()

from keras_curvature._backend import (  # noqa: E402
    require_tensorflow_backend,
)

require_tensorflow_backend()

from keras_curvature import (  # noqa: E402
    autodiff,
    callbacks,
    constraints,
    diagnostics,
    layers,
    linalg,
    losses,
    operators,
    optimizers,
    plots,
    report,
    training,
    uncertainty,
)
from keras_curvature._version import __version__  # noqa: E402
from keras_curvature.training import (  # noqa: E402
    Curve,
    Model,
    Sequential,
    solve,
)

__all__ = [
    "Curve",
    "Model",
    "Sequential",
    "__version__",
    "autodiff",
    "callbacks",
    "constraints",
    "diagnostics",
    "layers",
    "linalg",
    "losses",
    "operators",
    "optimizers",
    "plots",
    "report",
    "solve",
    "training",
    "uncertainty",
]
