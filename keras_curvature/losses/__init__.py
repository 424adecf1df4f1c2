"""Robust losses, and what this package knows of Keras losses."""

# Each of these modules registers the loss that it is named after.
from keras_curvature.losses import (  # noqa: F401
    binary_crossentropy,
    categorical_crossentropy,
    huber,
    poisson,
    squared_error,
)
from keras_curvature.losses.arctan import Arctan
from keras_curvature.losses.cauchy import Cauchy
from keras_curvature.losses.gauss_newton_form import (
    GaussNewtonForm,
    gauss_newton_form,
)
from keras_curvature.losses.known_loss import KnownLoss, register_loss
from keras_curvature.losses.pointwise_loss import PointwiseLoss
from keras_curvature.losses.robust_loss import RobustLoss
from keras_curvature.losses.sampled_scores import sampled_score
from keras_curvature.losses.soft_l1 import SoftL1
from keras_curvature.losses.term import LossTerm

__all__ = [
    "Arctan",
    "Cauchy",
    "GaussNewtonForm",
    "KnownLoss",
    "LossTerm",
    "PointwiseLoss",
    "RobustLoss",
    "SoftL1",
    "gauss_newton_form",
    "register_loss",
    "sampled_score",
]
