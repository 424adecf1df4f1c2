"""Second derivatives of TensorFlow operations, mended or refused."""

from keras_curvature.autodiff.repairs.context import (
    differentiated_twice,
    exact_derivatives,
)
from keras_curvature.autodiff.repairs.errors import SecondDerivativeError
from keras_curvature.autodiff.repairs.nested import (
    refuse_inexact_nested_derivatives,
)

__all__ = [
    "SecondDerivativeError",
    "differentiated_twice",
    "exact_derivatives",
    "refuse_inexact_nested_derivatives",
]
