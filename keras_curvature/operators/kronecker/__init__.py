"""Kronecker factors of Gauss-Newton and Fisher matrices."""

from keras_curvature.operators.kronecker.kronecker_factored import (
    KroneckerFactored,
)

__all__ = ["KroneckerFactored"]
