"""The Jacobian of a model's outputs over a data set."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from keras_curvature._checks import checked_flag, checked_integer
from keras_curvature._typing import Array, Data, Layers
from keras_curvature.autodiff.jacobian import Linearization
from keras_curvature.losses.term import LossTerm
from keras_curvature.operators._flat import FlatVectors, checked_matrix
from keras_curvature.operators._interfaces import scipy_operator
from keras_curvature.operators._model_loss import ModelLoss
from keras_curvature.operators._model_operator import over_columns
from keras_curvature.operators._opened import opened

if TYPE_CHECKING:
    from scipy.sparse.linalg import LinearOperator


class Jacobian:
    """J = ∂f/∂w, of the outputs f of a model over a data set.

    A linear operator of shape `(N·m, n)`: N samples with m outputs each, n
    weights. The rows of a sample follow one another; of a model with several
    outputs, those of the first output come first.

        jacobian @ v        J·v, v of shape (n,) or (n, k)
        jacobian.T @ u      Jᵀ·u, u of shape (N·m,) or (N·m, k)

    All columns share one pass over the data.

    Args:
        model, x, layers, training, batch_size, jit_compile, verbose: as for
            `Hessian`; of data sets that yield targets, these are left out.

    Attributes:
        variables: The weights, a list of `keras.Variable`s.
        shape: Tuple `(N·m, n)`.
        dtype: `tf.DType` of vectors and products.
        T: The transpose.

    Example:

    ```python
    import keras
    import numpy as np
    import tensorflow as tf
    from keras_curvature.operators import Jacobian

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    jacobian = Jacobian(model, np.ones((5, 3)))
    jacobian.shape  # (10, 8)
    jacobian @ tf.ones((8,))  # 4 in each of the outputs
    jacobian.T @ tf.ones((10,))  # 5 for each weight
    ```
    """

    # NumPy's arrays leave their products with operators to us.
    __array_ufunc__ = None

    def __init__(
        self,
        model: keras.Model,
        x: Data,
        *,
        layers: Layers | None = None,
        training: bool = False,
        batch_size: int = 256,
        jit_compile: bool = False,
        verbose: int = 0,
    ) -> None:
        self.variables, self._passes = opened(
            model,
            (x, None, None),
            functools.partial(_Outputs, model),
            layers=layers,
            training=training,
            batch_size=batch_size,
            verbose=verbose,
            ordered=True,
        )
        self.model = model
        self._vectors = FlatVectors(self.variables)
        self._outputs = self._passes.model_loss
        self._push, self._pull = (
            self._passes.compiled(f, checked_flag("jit_compile", jit_compile))
            for f in (self._batch_push, self._batch_pull)
        )

    @property
    def dtype(self) -> tf.DType:
        return self._vectors.dtype

    @property
    def shape(self) -> tuple[int, int]:
        samples = int(self._passes.survey.samples)
        return (samples * self._width(), self._vectors.size)

    @property
    def T(self) -> _Transpose:
        return _Transpose(self)

    def _width(self):
        widths = self._passes.survey.widths
        if None in widths:
            raise ValueError(
                "The outputs of a Jacobian must have axes of known size, the "
                "batch excepted. Received: outputs of sizes "
                f"{', '.join(map(str, widths))} for each sample. Give the "
                "model inputs of known shape, for example padded."
            )
        return sum(widths)

    def __matmul__(self, other: Array) -> Any:
        if isinstance(other, (list, tuple)):
            other = self._vectors.flatten(other)
        vectors = checked_matrix(other, self.shape[1], self.shape, self.dtype)
        columns = _as_columns(vectors)
        parts = self._passes.each(self._push, lambda *_: [columns])
        return _like(vectors, tf.concat([part for (part,) in parts], 0))

    def _transposed_product(self, other):
        width = self._width()
        vectors = checked_matrix(
            other, self.shape[0], self.shape[::-1], self.dtype
        )

        columns = _as_columns(vectors)

        def rows(before, size):
            return [columns[before * width : (before + size) * width]]

        parts = self._passes.each(self._pull, rows)
        return _like(vectors, tf.add_n([part for (part,) in parts]))

    def to_dense(self, block_size: int = 64) -> tf.Tensor:
        """The matrix itself, of shape `(N·m, n)`.

        Args:
            block_size: Int, columns (or rows, where there are fewer of them)
                that share a pass over the data. Defaults to 64.
        """
        block_size = checked_integer("block_size", block_size, 1)
        rows, columns = self.shape
        if rows < columns:
            return tf.transpose(_dense(self.T, rows, block_size))
        return _dense(self, columns, block_size)

    def to_scipy(self) -> LinearOperator:
        """A `scipy.sparse.linalg.LinearOperator`, for NumPy arrays."""
        return scipy_operator(
            self, lambda v: self @ v, self._transposed_product
        )

    def _batch_push(self, batch, share, vectors):
        loss, linearization = self._linearized(batch, share)
        push = linearization.pushforward()

        def product(vector):
            pushed = push(self._vectors.unflatten(vector))
            rows = [tf.reshape(p, (tf.shape(p)[0], -1)) for p in pushed]
            rows = [tf.cast(r, self.dtype) for r in rows]
            return tf.reshape(tf.concat(rows, 1), (-1,))

        return loss, [over_columns(product, vectors)]

    def _batch_pull(self, batch, share, vectors):
        loss, linearization = self._linearized(batch, share)
        outputs = linearization.outputs
        widths = [output.shape[1:].num_elements() for output in outputs]

        def product(vector):
            parts = tf.split(tf.reshape(vector, (-1, sum(widths))), widths, 1)
            cotangents = [
                tf.reshape(tf.cast(part, output.dtype), tf.shape(output))
                for part, output in zip(parts, outputs, strict=True)
            ]
            return self._vectors.flatten(
                linearization.vector_jacobian_product(cotangents)
            )

        return loss, [over_columns(product, vectors)]

    def _linearized(self, batch, share):
        linearization = Linearization(
            lambda: self._outputs.list_of(self._outputs.outputs(batch[0])),
            self.variables,
        )
        parts = self._outputs.parts(batch, linearization.outputs, share)
        loss = self._outputs.value(parts)
        return loss + self._outputs.additional(batch, share), linearization


class _Transpose:
    """Jᵀ, for its products."""

    __array_ufunc__ = None

    def __init__(self, jacobian):
        self.T = jacobian
        self.dtype = jacobian.dtype

    @property
    def shape(self):
        return self.T.shape[::-1]

    def __matmul__(self, other):
        return self.T._transposed_product(other)


class _Outputs(ModelLoss):
    """The mean squares of all outputs as losses, which need no targets."""

    def __init__(self, model, training, dtype):
        self.model = model
        self.dtype = dtype
        self.training = training
        self._loss = keras.losses.MeanSquaredError()

    def list_of(self, outputs):
        """The outputs that are real numbers."""
        return [o for o in tf.nest.flatten(outputs) if o.dtype.is_floating]

    def terms(self, batch, outputs):
        return [
            LossTerm(self._loss, tf.zeros_like(output), output)
            for output in self.list_of(outputs)
        ]


def _as_columns(vectors):
    return vectors[:, tf.newaxis] if vectors.shape.rank == 1 else vectors


def _like(vectors, columns):
    return columns[:, 0] if vectors.shape.rank == 1 else columns


def _dense(operator, size, block_size):
    units = tf.eye(size, dtype=operator.dtype)
    return tf.concat(
        [
            operator @ units[:, start : start + block_size]
            for start in range(0, size, block_size)
        ],
        1,
    )
