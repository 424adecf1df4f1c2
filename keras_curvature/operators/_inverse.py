"""The inverse of a damped operator, by conjugate gradients."""

from keras_curvature._checks import checked_number
from keras_curvature.linalg.conjugate_gradient import conjugate_gradient
from keras_curvature.operators.curvature_operator import CurvatureOperator


class InverseOperator(CurvatureOperator):
    """(A + λI)⁻¹, whose products are solved for.

    Args:
        operator: A, a `CurvatureOperator`.
        damping: λ ≥ 0.
        **options: `tolerance`, `max_iterations` and `preconditioner` of
            `keras_curvature.linalg.conjugate_gradient`.
    """

    def __init__(self, operator, damping, **options):
        super().__init__(operator.variables)
        self._operator = operator
        self._damping = checked_number("damping", damping, minimum=0)
        self._options = options

    def _matmat(self, matrix):
        return conjugate_gradient(
            self._operator, matrix, damping=self._damping, **self._options
        ).solution
