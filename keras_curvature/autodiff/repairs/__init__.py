"""Second derivatives of TensorFlow operations, mended or refused."""

from keras_curvature.autodiff.repairs.context import exact_second_derivatives
from keras_curvature.autodiff.repairs.errors import SecondDerivativeError

__all__ = ["SecondDerivativeError", "exact_second_derivatives"]
