"""The loss of a model over a data set, as the sum of parts from its batches."""

import dataclasses
from typing import NamedTuple

import tensorflow as tf

from keras_curvature.losses.compiled import compiled_losses, compiled_with
from keras_curvature.losses.term import LossTerm


class Share(NamedTuple):
    """What one batch is of all data.

    Attributes:
        divisors: Tensor of shape `(terms,)`: what Keras would divide the sum
            of each loss by if all data were one batch, 1 for sums.
        samples: Scalar tensor, the number of all samples.
        before: Scalar int64 tensor, the number of samples in earlier batches.
    """

    divisors: tf.Tensor
    samples: tf.Tensor
    before: tf.Tensor


class ModelLoss:
    """Keras's loss of a model, of all data as if it were one batch.

    Args:
        model: A built `keras.Model`.
        loss: As in `compile`, or None for the compiled one.
        loss_weights: As in `compile`, for a given loss.
        training: Bool, the mode in which the model is called.
        dtype: `tf.DType` of the loss.
    """

    def __init__(self, model, loss, loss_weights, training, dtype):
        self.model = model
        self.dtype = dtype
        self.training = training
        self._compiled = _compiled(model, loss, loss_weights)

    def outputs(self, x):
        """What the model returns for a batch."""
        if self.model._call_has_training_arg:
            return self.model(x, training=self.training)
        return self.model(x)

    def terms(self, batch, outputs):
        """The losses of one batch, as Keras reduces them."""
        _, y, sample_weight = batch
        if y is None and self._compiled._compile_loss is not None:
            raise ValueError(
                "`y` must hold the targets of the loss, or the data set yield "
                "them. Received: None."
            )
        calls = compiled_losses(self._compiled, y, outputs, sample_weight)
        return [LossTerm(*call) for call in calls]

    def parts(self, batch, outputs, share):
        """The terms of one batch as parts of those of all data."""
        return [
            _part(term, share.divisors[k])
            for k, term in enumerate(self.terms(batch, outputs))
        ]

    def value(self, terms):
        """The sum of the terms, a scalar."""
        values = [tf.cast(term.value(), self.dtype) for term in terms]
        return tf.add_n(values) if values else tf.zeros((), self.dtype)

    def additional(self, batch, share):
        """The part of a batch in the losses of regularizers and `add_loss`.

        They count once for all data; those that depend on the data as means
        over samples, which those of Keras's layers are.
        """
        fraction = tf.cast(samples_in(batch), self.dtype) / share.samples
        losses = [
            tf.cast(tf.reduce_sum(loss), self.dtype)
            for loss in self.model.losses
        ]
        return fraction * tf.add_n(losses) if losses else fraction * 0

    def total(self, batch, share):
        """What a batch adds to the loss of all data, a scalar."""
        outputs = self.outputs(batch[0])
        parts = self.parts(batch, outputs, share)
        return self.value(parts) + self.additional(batch, share)


def _part(term, divisor):
    if term.rows() is None:
        # It reduces its batch itself, which then is all data there is.
        return term
    weight = tf.cast(1.0 if term.weight is None else term.weight, divisor.dtype)
    weight = tf.math.divide_no_nan(weight, divisor)
    weight = tf.cast(weight, term.loss.dtype)
    return dataclasses.replace(term.undivided(), weight=weight)


def samples_in(batch):
    """The number of samples of a batch."""
    return tf.shape(tf.nest.flatten(batch[0])[0])[0]


def _compiled(model, loss, loss_weights):
    """A model that only holds the compiled loss."""
    if loss is None:
        if loss_weights is not None:
            raise ValueError(
                "`loss_weights` belong to a given `loss`. Received: "
                f"loss_weights={loss_weights!r} and loss=None."
            )
        _refuse_own_loss(model)
    return compiled_with(model, loss, loss_weights)


def _refuse_own_loss(model):
    if not model.compiled:
        raise ValueError(
            "`loss` must be given for a model that is not compiled. Received: "
            f"loss=None for the model {model.name}."
        )
    own = type(model).compute_loss.__module__.split(".")[0]
    if own not in ("keras_curvature", "keras"):
        raise ValueError(
            "`loss` must be given for a model with a compute_loss() of its "
            "own, which does not say how the losses of batches add up. "
            f"Received: {type(model).__name__} and loss=None."
        )
