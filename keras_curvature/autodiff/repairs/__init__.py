"""Second derivatives of TensorFlow operations, mended or refused."""

from keras_curvature.autodiff.repairs._base import SecondDerivativeError
from keras_curvature.autodiff.repairs.context import exact_second_derivatives

__all__ = ["SecondDerivativeError", "exact_second_derivatives"]
