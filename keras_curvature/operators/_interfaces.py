"""Operators as other libraries take them."""

import numpy as np
import tensorflow as tf


def scipy_operator(operator, product, transposed):
    """A `scipy.sparse.linalg.LinearOperator`.

    Args:
        operator: Has `shape` and `dtype`.
        product: Callable that maps arrays of shape (n,) and (n, k).
        transposed: The same for the transpose.
    """
    try:
        from scipy.sparse.linalg import LinearOperator
    except ImportError as error:
        raise ImportError(
            "to_scipy() needs SciPy. Received: no module scipy. Install it "
            "with `pip install scipy`."
        ) from error

    def numbers(function):
        return lambda array: np.asarray(function(array))

    return LinearOperator(
        shape=operator.shape,
        dtype=operator.dtype.as_numpy_dtype,
        matvec=numbers(product),
        matmat=numbers(product),
        rmatvec=numbers(transposed),
        rmatmat=numbers(transposed),
    )


class SelfAdjointOperator(tf.linalg.LinearOperator):
    """A curvature operator as a `tf.linalg.LinearOperator`.

    Args:
        operator: `CurvatureOperator`.
        is_positive_definite: Bool or None, a promise to TensorFlow's solvers.
    """

    def __init__(self, operator, is_positive_definite):
        self._operator = operator
        super().__init__(
            dtype=operator.dtype,
            is_self_adjoint=True,
            is_positive_definite=is_positive_definite,
            is_square=True,
            parameters={
                "operator": operator,
                "is_positive_definite": is_positive_definite,
            },
        )

    def _shape(self):
        return tf.TensorShape(self._operator.shape)

    def _shape_tensor(self):
        return tf.constant(self._operator.shape)

    def _matmul(self, x, adjoint=False, adjoint_arg=False):
        if adjoint_arg:
            x = tf.linalg.adjoint(x)
        if x.shape.rank == 2:
            return self._operator @ x
        # All matrices of a batch share one pass.
        size = self._operator.shape[0]
        first = tf.experimental.numpy.moveaxis(x, -2, 0)
        product = self._operator @ tf.reshape(first, (size, -1))
        product = tf.reshape(product, tf.shape(first))
        return tf.experimental.numpy.moveaxis(product, 0, -2)

    def _diag_part(self):
        return self._operator.diagonal()

    def _to_dense(self):
        return self._operator.to_dense()
