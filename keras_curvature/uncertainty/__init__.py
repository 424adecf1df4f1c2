"""What a fitted model does not know."""

from keras_curvature.uncertainty.calibration import (
    Reliability,
    coverage,
    negative_log_likelihood,
    reliability,
)
from keras_curvature.uncertainty.elastic_weight_consolidation import (
    ElasticWeightConsolidation,
)
from keras_curvature.uncertainty.influence import influence, self_influence
from keras_curvature.uncertainty.laplace import Laplace
from keras_curvature.uncertainty.parameter_covariance import (
    parameter_covariance,
)
from keras_curvature.uncertainty.parameter_errors import ParameterErrors
from keras_curvature.uncertainty.prediction import Prediction

__all__ = [
    "ElasticWeightConsolidation",
    "Laplace",
    "ParameterErrors",
    "Prediction",
    "Reliability",
    "coverage",
    "influence",
    "negative_log_likelihood",
    "parameter_covariance",
    "reliability",
    "self_influence",
]
