"""A curvature matrix of a model over a data set."""

import copy
import functools
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_curvature._checks import checked_flag
from keras_curvature._typing import Array, Data, Layers, Loss, LossWeights
from keras_curvature.autodiff.variables import variable_name
from keras_curvature.operators._flat import FlatVectors
from keras_curvature.operators._model_loss import ModelLoss
from keras_curvature.operators._opened import opened
from keras_curvature.operators.curvature_operator import CurvatureOperator


class ModelOperator(CurvatureOperator):
    """A sum over the batches of a data set, at the weights the model has now.

    A subclass implements `_batch_product(batch, share, vectors)`, the part of
    a batch in the loss and a list with that in the product, as a function to
    compile. The vectors have shape (n,) or (n, k): see `over_columns`.
    """

    def __init__(
        self,
        model: keras.Model,
        x: Data,
        y: Data | None = None,
        sample_weight: Array | None = None,
        *,
        loss: Loss | None = None,
        loss_weights: LossWeights | None = None,
        layers: Layers | None = None,
        training: bool = False,
        batch_size: int = 256,
        jit_compile: bool = False,
        verbose: int = 0,
    ) -> None:
        variables, self._passes = opened(
            model,
            (x, y, sample_weight),
            functools.partial(ModelLoss, model, loss, loss_weights),
            layers=layers,
            training=training,
            batch_size=batch_size,
            verbose=verbose,
            ordered=self._is_ordered(),
        )
        super().__init__(variables)
        self.model = model
        self._model_loss = self._passes.model_loss
        self._jit_compile = checked_flag("jit_compile", jit_compile)
        self._passes.refuse_xla(self._jit_compile)
        self._compiled: dict[str, Any] = {}

    def _is_ordered(self):
        """Whether the product depends on the order of the samples."""
        return False

    @property
    def loss(self) -> float:
        """Keras's loss of all data as one batch, a float."""
        return self._passes.loss

    @property
    def samples(self) -> int:
        """The number of samples in the data, an int."""
        return int(self._passes.survey.samples)

    @property
    def output_shapes(self) -> list[tuple[int, ...]]:
        """For each loss, the shape of the outputs of a sample, a tuple."""
        return self._passes.survey.shapes

    def _matvec(self, vector):
        sums = self._sum(self._batch_product, vector)
        return self._finished_product(vector, sums)

    def _matmat(self, matrix):
        if matrix.shape[1] == 1:
            # Without a loop over the columns.
            return tf.expand_dims(self._matvec(tf.squeeze(matrix, 1)), 1)
        sums = self._sum(self._batch_products, matrix)
        return self._finished_product(matrix, sums)

    def _finished_product(self, vectors, sums):
        product = self._product_of_sums(vectors, *sums)
        self._refuse_overflow(product, vectors)
        return product

    def _product_of_sums(self, vectors, product):
        """The product, from what `_batch_product` summed over the data."""
        return product

    def _batch_products(self, batch, share, matrix):
        # A name of its own for the function of matrices.
        return self._batch_product(batch, share, matrix)

    def _sum(self, function, *tensors, at_once=None):
        """The sum over all batches of a method, compiled once."""
        return self._passes.sum(
            self._compiled_method(function), *tensors, at_once=at_once
        )

    def _compiled_method(self, function):
        name = function.__name__
        if name not in self._compiled:
            self._compiled[name] = self._passes.compiled(
                function, self._jit_compile
            )
        return self._compiled[name]

    @property
    def _rounding(self):
        """The relative error that sums in another order may have."""
        return float(np.sqrt(np.finfo(self.dtype.as_numpy_dtype).eps))

    def _restricted(self, indices):
        """The same operator over some of its variables."""
        other = copy.copy(self)
        other.variables = [self.variables[k] for k in indices]
        other._vectors = FlatVectors(other.variables)
        other._compiled = {}
        return other

    def _refuse_overflow(self, product, vectors):
        # Squares add up to a finite number where the entries are finite, but
        # for an overflow, and faster than anything else looks at each.
        # Of a product that is no variable, an array is a view.
        entries = np.asarray(product)
        if np.isfinite(np.vdot(entries, entries)) or _is_finite(product):
            return
        if not _is_finite(vectors):
            what = "the vector that was multiplied is"
        else:
            columns = tf.reshape(product, (self.shape[0], -1))
            parts = self.unflatten(tf.reduce_sum(columns, 1))
            names = [
                variable_name(v)
                for v, part in zip(self.variables, parts, strict=True)
                if not _is_finite(part)
            ]
            what = f"the product is, in {', '.join(names)}"
        raise ValueError(
            f"Products must be finite. Received: {what} not. Look at the data "
            "and the weights for NaN, infinite and huge numbers (and, for "
            "Fisher, negative sample weights), or compute in float64."
        )


def _is_finite(tensor):
    return bool(np.isfinite(tensor.numpy()).all())


def over_columns(product, vectors):
    """A product with a vector, or with each column of a matrix in turn.

    Args:
        product: Callable that maps a tensor of shape (n,) to one of shape (m,).
        vectors: Tensor of shape (n,) or (n, k).

    Returns:
        Tensor of shape (m,) or (m, k).
    """
    if vectors.shape.rank == 1:
        return product(vectors)
    columns = tf.map_fn(product, tf.transpose(vectors), parallel_iterations=1)
    return tf.transpose(columns)
