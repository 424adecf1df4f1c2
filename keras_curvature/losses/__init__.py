"""What this package knows of Keras losses."""

# Each of these modules registers the loss that it is named after.
from keras_curvature.losses import (  # noqa: F401
    binary_crossentropy,
    categorical_crossentropy,
    huber,
    poisson,
    squared_error,
)
from keras_curvature.losses.gauss_newton_form import (
    GaussNewtonForm,
    gauss_newton_form,
)
from keras_curvature.losses.known_loss import KnownLoss, register_loss
from keras_curvature.losses.pointwise_loss import PointwiseLoss
from keras_curvature.losses.sampled_scores import sampled_score
from keras_curvature.losses.term import LossTerm

__all__ = [
    "GaussNewtonForm",
    "KnownLoss",
    "LossTerm",
    "PointwiseLoss",
    "gauss_newton_form",
    "register_loss",
    "sampled_score",
]
