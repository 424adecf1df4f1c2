"""Products with a symmetric operator, whatever it is given as."""

import math

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
        scale: The largest ‖Av‖ / ‖v‖ so far, of the size of ‖A‖.
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
        self.scale = 0.0
        # The last vector with its image and length.
        self._last = None

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
        step, count = self.columns_at_once, columns.shape[1]
        if count <= step:
            return self._times(columns)
        starts = range(0, count, step)
        return tf.concat(
            [self._times(columns[:, i : i + step]) for i in starts], axis=1
        )

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
        if product.dtype != self.dtype:
            raise ValueError(
                "`operator @ v` must have the dtype of the operator, "
                f"{self.dtype.name}. Received: {product.dtype.name}."
            )
        # Sums of columns may have no image where the columns have one.
        self.scale = max(self.scale, _largest_ratio(product, columns))
        for vector, image in _halves(columns, product):
            self._compare_with_last(vector, image)
        return product

    def _compare_with_last(self, v, image):
        """Raises where wᵀ·Av differs from vᵀ·Aw for the w before v."""
        length, size = (_dot(x, x) ** 0.5 for x in (v, image))
        if not math.isfinite(size):
            raise ValueError(
                "`operator @ v` must be finite. Received: NaN or infinity "
                "from finite v. Look for NaN in the weights or the data, and "
                "for derivatives that overflow."
            )
        if self._last is not None:
            w, last_image, last_length = self._last
            forms = _dot(w, image), _dot(v, last_image)
            # Products may err by a root of rounding, relative to ‖A‖.
            noise = self.epsilon**0.5 * self.scale * length * last_length
            largest = max(map(abs, forms))
            if abs(forms[0] - forms[1]) > 0.01 * largest + noise:
                raise ValueError(
                    "`operator` must be symmetric and the same in each "
                    f"product. Received: wᵀAv = {forms[0]:.6g} but vᵀAw = "
                    f"{forms[1]:.6g}. A model with random layers (dropout) "
                    "must be in inference mode."
                )
        self._last = v, image, length


def _dot(a, b):
    # Of views, in a hundredth of the time that an operation takes.
    return float(np.vdot(a, b))


def _largest_ratio(product, columns):
    """The largest ‖Av‖ / ‖v‖ of the columns, 0 where none is finite."""
    sizes, lengths = (
        np.sqrt(tf.reduce_sum(x * x, axis=0).numpy().astype("float64"))
        for x in (product, columns)
    )
    valid = np.isfinite(sizes) & np.isfinite(lengths) & (lengths > 0)
    return float(np.max(sizes[valid] / lengths[valid], initial=0.0))


def _halves(columns, product):
    """The sums of the columns in two halves, with their images, as arrays."""
    count = columns.shape[1]
    if count == 1:
        return [(np.asarray(columns)[:, 0], np.asarray(product)[:, 0])]
    halves = np.zeros((min(count, 2), count))
    halves[0, : (count + 1) // 2] = 1
    halves[-1, (count + 1) // 2 :] = 1
    halves = tf.constant(halves, columns.dtype)
    sums = (tf.matmul(halves, x, transpose_b=True) for x in (columns, product))
    return zip(*map(np.asarray, sums), strict=True)


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
