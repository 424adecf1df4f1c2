"""A curvature matrix of a model over a data set."""

import copy

import keras
import numpy as np
import tensorflow as tf

from keras_curvature._checks import checked_flag
from keras_curvature.autodiff.variables import as_tf_variable, variable_name
from keras_curvature.operators._batches import Batches
from keras_curvature.operators._compiled import CompiledFunction
from keras_curvature.operators._flat import FlatVectors
from keras_curvature.operators._layers import weights_of_layers
from keras_curvature.operators._model_loss import ModelLoss
from keras_curvature.operators._passes import Passes
from keras_curvature.operators.curvature_operator import CurvatureOperator


class ModelOperator(CurvatureOperator):
    """A sum over the batches of a data set, at the weights the model has now.

    A subclass implements `_batch_product(batch, share, vectors)`, the part of
    a batch in the loss and a list with that in the product, as a function to
    compile. The vectors have shape (n,) or (n, k): see `over_columns`.
    """

    def __init__(
        self,
        model,
        x,
        y=None,
        sample_weight=None,
        *,
        loss=None,
        loss_weights=None,
        layers=None,
        training=False,
        batch_size=256,
        jit_compile=False,
        verbose=0,
    ):
        _refuse_other_model(model)
        batches = Batches(x, y, sample_weight, batch_size)
        _build(model, batches)
        variables = model.trainable_variables
        chosen = weights_of_layers(variables, layers)
        super().__init__([variables[k] for k in chosen])
        self.model = model
        self._jit_compile = checked_flag("jit_compile", jit_compile)
        self._model_loss = ModelLoss(
            model,
            loss,
            loss_weights,
            checked_flag("training", training),
            self.dtype,
        )
        self._passes = Passes(self._model_loss, batches, bool(verbose))
        self._compiled = {}

    @property
    def loss(self):
        """Keras's loss of all data as one batch, a float."""
        return self._passes.survey.loss

    @property
    def samples(self):
        """The number of samples in the data, an int."""
        return int(self._passes.survey.samples)

    def _matmat(self, matrix):
        if matrix.shape[1] == 1:
            (product,) = self._sum(self._batch_product, matrix[:, 0])
            product = product[:, tf.newaxis]
        else:
            (product,) = self._sum(self._batch_products, matrix)
        self._refuse_overflow(product, matrix)
        return product

    def _batch_products(self, batch, share, matrix):
        # A name of its own for the function of matrices.
        return self._batch_product(batch, share, matrix)

    def _sum(self, function, *tensors):
        """The sum over all batches of a method, compiled once."""
        name = function.__name__
        if name not in self._compiled:
            self._compiled[name] = CompiledFunction(function, self._jit_compile)
        return self._passes.sum(self._compiled[name], *tensors)

    @property
    def _sources(self):
        return [as_tf_variable(v) for v in self.variables]

    def _restricted(self, indices):
        """The same operator over some of its variables."""
        other = copy.copy(self)
        other.variables = [self.variables[k] for k in indices]
        other._vectors = FlatVectors(other.variables)
        other._compiled = {}
        return other

    def _refuse_overflow(self, product, matrix):
        if np.isfinite(float(tf.reduce_sum(product * 0))):
            return
        if not np.isfinite(float(tf.reduce_sum(matrix * 0))):
            what = "the vector that was multiplied is"
        else:
            parts = self.unflatten(tf.reduce_sum(product, 1))
            names = [
                variable_name(v)
                for v, part in zip(self.variables, parts, strict=True)
                if not np.isfinite(part.numpy()).all()
            ]
            what = f"the product is, in {', '.join(names)}"
        raise ValueError(
            f"Products must be finite. Received: {what} not. Look at the data "
            "and the weights for NaN, infinite and huge numbers, or compute in "
            "float64."
        )


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


def _refuse_other_model(model):
    if not isinstance(model, keras.Model):
        raise ValueError(
            f"`model` must be a keras.Model. Received: {type(model).__name__}."
        )


def _build(model, batches):
    """Gives a model its weights by calling it, if it has none yet."""
    if not model.built:
        model(next(iter(batches))[0])
