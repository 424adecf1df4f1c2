"""Products with a symmetric operator, whatever it is given as."""

import numpy as np
import tensorflow as tf

# Columns are multiplied together up to this many bytes of them.
_BYTES_AT_ONCE = 2**28


class Products:
    """Products of a symmetric n × n operator with columns, counted.

    Attributes:
        size: n.
        dtype: `tf.DType` of the products, float32 or float64.
        count: Products with single columns so far.
        passes: Products with blocks of columns so far, each of them one pass
            over the data of an operator that has data.
    """

    def __init__(self, operator):
        if isinstance(operator, (np.ndarray, tf.Tensor, tf.Variable)):
            operator = tf.convert_to_tensor(operator)
        for name in ("shape", "dtype", "__matmul__"):
            if not hasattr(operator, name):
                raise TypeError(
                    "`operator` must be a matrix, a tf.linalg.LinearOperator "
                    "or an object with `shape`, `dtype` and `operator @ v`. "
                    f"Received: {type(operator).__name__}, without {name}."
                )
        self._operator = operator
        self.size = _checked_size(operator.shape)
        self.dtype = tf.as_dtype(operator.dtype)
        if self.dtype not in (tf.float32, tf.float64):
            raise ValueError(
                "`operator` must have the dtype float32 or float64. Received: "
                f"{self.dtype.name}. Cast it first."
            )
        if tf.is_tensor(operator):
            _refuse_asymmetric(operator.numpy())
        self.count = self.passes = 0

    @property
    def epsilon(self):
        """The unit of rounding of the products."""
        return float(np.finfo(self.dtype.as_numpy_dtype).eps)

    @property
    def columns_at_once(self):
        """How many columns one product takes."""
        return max(1, _BYTES_AT_ONCE // (self.size * self.dtype.size))

    def __call__(self, columns):
        """A·V of columns V of shape (n, k), a tensor."""
        columns = tf.convert_to_tensor(columns)
        starts = range(0, columns.shape[1], self.columns_at_once)
        blocks = [
            self._times(columns[:, start : start + self.columns_at_once])
            for start in starts
        ]
        return blocks[0] if len(blocks) == 1 else tf.concat(blocks, axis=1)

    def _times(self, columns):
        product = tf.convert_to_tensor(self._operator @ columns)
        self.count += columns.shape[1]
        self.passes += 1
        if product.shape != columns.shape:
            raise ValueError(
                "`operator @ v` must have the shape of v. Received: "
                f"{tuple(product.shape)} for v of shape "
                f"{tuple(columns.shape)}."
            )
        if not tf.reduce_all(tf.math.is_finite(product)):
            raise ValueError(
                "`operator @ v` must be finite. Received: NaN or infinity "
                "from finite v. Look for NaN in the weights or the data, and "
                "for derivatives that overflow."
            )
        return product


def _checked_size(shape):
    shape = tuple(shape)
    if len(shape) != 2 or shape[0] != shape[1] or not shape[0]:
        raise ValueError(
            "`operator` must be square, of shape (n, n) with n ≥ 1. Received: "
            f"shape {shape}."
        )
    return int(shape[0])


def _refuse_asymmetric(matrix):
    """Raises where a dense matrix differs from its transpose."""
    scale = np.abs(matrix).max()
    difference = np.abs(matrix - matrix.T).max()
    # Sums in another order differ by more than one rounding.
    if difference > np.sqrt(np.finfo(matrix.dtype).eps) * scale:
        raise ValueError(
            "`operator` must be symmetric. Received: a matrix that differs "
            f"from its transpose by up to {difference:.3g}."
        )
