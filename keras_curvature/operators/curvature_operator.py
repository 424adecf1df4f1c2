"""What every curvature matrix of this package can do."""

from __future__ import annotations

import abc
import numbers
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from keras_curvature._checks import checked_integer, checked_number
from keras_curvature._typing import Array, Layers, Variables, Vectors
from keras_curvature.operators._flat import FlatVectors
from keras_curvature.operators._interfaces import (
    SelfAdjointOperator,
    scipy_operator,
)
from keras_curvature.operators._layers import weights_of_layers

if TYPE_CHECKING:
    from scipy.sparse.linalg import LinearOperator


class CurvatureOperator(abc.ABC):
    """A symmetric matrix over the weights of a model, known by its products.

    Vectors hold all weights of `variables` one after the other, each in row
    order. A product takes

    - a tensor of shape `(n,)`;
    - a matrix of shape `(n, k)`, whose k columns share one pass over the data;
    - a list of tensors shaped as the variables

    and returns the same form. Sums `A + B`, differences and multiples `2 * A`
    of operators over the same variables are operators again.

    A subclass implements `_matmat(matrix)`, the product with a tensor of shape
    `(n, k)`, and may compute `_matvec(vector)`, `diagonal` and `_restricted`
    better than here.

    Args:
        variables: List of `keras.Variable`s.

    Attributes:
        variables: The same list.
        shape: Tuple `(n, n)`.
        dtype: `tf.DType` of vectors and products.

    Example:

    ```python
    import keras
    import tensorflow as tf
    from keras_curvature.operators import CurvatureOperator

    class Identity(CurvatureOperator):
        def _matmat(self, matrix):
            return matrix

    weights = keras.Variable([[1.0, 2.0], [3.0, 4.0]])
    operator = 2 * Identity([weights]) + Identity([weights])
    operator @ tf.ones((4,))  # [3, 3, 3, 3]
    operator.diagonal()  # the same
    ```
    """

    def __init__(self, variables: Variables) -> None:
        self.variables = list(variables)
        self._vectors = FlatVectors(self.variables)

    @abc.abstractmethod
    def _matmat(self, matrix):
        """The product with a tensor of shape (n, k)."""

    @property
    def shape(self) -> tuple[int, int]:
        return (self._vectors.size, self._vectors.size)

    @property
    def dtype(self) -> tf.DType:
        return self._vectors.dtype

    def __matmul__(self, other: Any) -> Any:
        if isinstance(other, (list, tuple)):
            return self.unflatten(self @ self.flatten(other))
        tensor = self._vectors.checked(other)
        if tf.is_symbolic_tensor(tensor):
            return self._in_graph(tensor)
        if tensor.shape.rank == 1:
            return self._matvec(tensor)
        return self._matmat(tensor)

    def _matvec(self, vector):
        """The product with a tensor of shape (n,)."""
        return tf.squeeze(self._matmat(tf.expand_dims(vector, 1)), 1)

    def _in_graph(self, tensor):
        """The product inside a `tf.function`, which calls back for it."""
        product = tf.py_function(self.__matmul__, [tensor], self.dtype)
        return tf.ensure_shape(product, tensor.shape)

    # NumPy's numbers and arrays leave their products with operators to us.
    __array_ufunc__ = None

    def __add__(self, other: CurvatureOperator) -> CurvatureOperator:
        return self._plus(1.0, other)

    def __sub__(self, other: CurvatureOperator) -> CurvatureOperator:
        return self._plus(-1.0, other)

    def __mul__(self, factor: float) -> CurvatureOperator:
        if not isinstance(factor, numbers.Real):
            return NotImplemented
        return _sum([(checked_number("factor", factor), self)])

    __rmul__ = __mul__

    def __truediv__(self, divisor: float) -> CurvatureOperator:
        if not isinstance(divisor, numbers.Real):
            return NotImplemented
        return self * (1 / divisor)

    def __neg__(self) -> CurvatureOperator:
        return -1.0 * self

    def _plus(self, factor, other):
        if not isinstance(other, CurvatureOperator):
            return NotImplemented
        return _sum([(1.0, self), (factor, other)])

    def block(self, layers: Layers) -> CurvatureOperator:
        """The block of the matrix that belongs to the weights of layers.

        Args:
            layers: String or list of strings: names of layers, paths of
                weights, or patterns such as `"dense*"`.

        Returns:
            A `CurvatureOperator`.

        Raises:
            ValueError: if a pattern fits no layer.
        """
        return self._restricted(weights_of_layers(self.variables, layers))

    def _restricted(self, indices):
        """The operator over some of the variables."""
        from keras_curvature.operators._combined import BlockOperator

        return BlockOperator(self, indices)

    def flatten(self, tensors: Vectors) -> tf.Tensor:
        """One vector of shape `(n,)`.

        Args:
            tensors: List of tensors shaped as the variables.
        """
        return self._vectors.flatten(tensors)

    def unflatten(self, vector: Array) -> list[tf.Tensor]:
        """A list of tensors shaped as the variables.

        Args:
            vector: Tensor of shape `(n,)`.
        """
        return self._vectors.unflatten(self._vectors.checked(vector))

    def to_dense(self, block_size: int = 64) -> tf.Tensor:
        """The matrix itself, of shape `(n, n)`.

        Args:
            block_size: Int, columns that share a pass over the data. Defaults
                to 64.
        """
        return tf.concat(
            [self @ units for _, units in self._unit_vectors(block_size)], 1
        )

    def diagonal(self, block_size: int = 64) -> tf.Tensor:
        """The exact diagonal, of shape `(n,)`, from products.

        Args:
            block_size: Int, columns that share a pass over the data. Defaults
                to 64.
        """
        return tf.concat(
            [
                tf.linalg.diag_part((self @ units)[start:])
                for start, units in self._unit_vectors(block_size)
            ],
            0,
        )

    def inverse(
        self,
        damping: float = 0.0,
        *,
        tolerance: float | None = None,
        max_iterations: int = 1000,
    ) -> CurvatureOperator:
        """(A + λI)⁻¹ as an operator, whose products take several passes.

        Each product is solved for by conjugate gradients, all columns of a
        matrix at once.

        Args:
            damping: λ ≥ 0, in units of the eigenvalues. Defaults to 0.
            tolerance: Float > 0, of the residual beside the vector. Defaults
                to the square root of the rounding of the dtype.
            max_iterations: Int ≥ 1, most passes over the data for a product;
                a warning tells where they did not suffice. Defaults to 1000.

        Returns:
            A `CurvatureOperator`.

        Raises:
            ValueError: at a product, if A + λI is seen not to be positive
                definite.
        """
        from keras_curvature.operators._inverse import InverseOperator

        return InverseOperator(
            self, damping, tolerance=tolerance, max_iterations=max_iterations
        )

    def to_scipy(self) -> LinearOperator:
        """A `scipy.sparse.linalg.LinearOperator`, for NumPy arrays.

        Raises:
            ImportError: if SciPy is not installed.
        """
        return scipy_operator(self, self.__matmul__, self.__matmul__)

    def to_linear_operator(
        self, is_positive_definite: bool | None = None
    ) -> tf.linalg.LinearOperator:
        """A `tf.linalg.LinearOperator`, for TensorFlow's own solvers.

        Args:
            is_positive_definite: Bool or None for unknown, a promise that
                `tf.linalg.experimental.conjugate_gradient` asks for. Defaults
                to `None`.
        """
        return SelfAdjointOperator(self, is_positive_definite)

    def _unit_vectors(self, block_size):
        size = self._vectors.size
        block_size = checked_integer("block_size", block_size, 1)
        for start in range(0, size, block_size):
            columns = tf.range(start, min(start + block_size, size))
            yield (
                start,
                tf.one_hot(columns, size, axis=0, dtype=self.dtype),
            )


def _sum(summands):
    # Here, since a sum is an operator itself.
    from keras_curvature.operators._combined import SumOperator

    return SumOperator(summands)
