"""What a fitted model does not know."""

from keras_curvature.uncertainty.parameter_covariance import (
    parameter_covariance,
)
from keras_curvature.uncertainty.parameter_errors import ParameterErrors

__all__ = ["ParameterErrors", "parameter_covariance"]
