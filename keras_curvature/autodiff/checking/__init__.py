"""Second derivatives of a model against central differences."""

from keras_curvature.autodiff.checking.check import check_second_derivatives
from keras_curvature.autodiff.checking.report import (
    LayerCheck,
    SecondDerivativeReport,
)

__all__ = ["LayerCheck", "SecondDerivativeReport", "check_second_derivatives"]
