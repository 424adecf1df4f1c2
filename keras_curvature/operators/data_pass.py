"""Sums over the batches of a data set, for other rooms."""

import functools
import math

import tensorflow as tf

from keras_curvature.operators._compiled import CompiledFunction
from keras_curvature.operators._flat import FlatVectors
from keras_curvature.operators._model_loss import ModelLoss, Share
from keras_curvature.operators._opened import opened
from keras_curvature.operators._survey import unchanged_state


class DataPass:
    """A pass over data, with the loss and the checks that operators have.

    Args:
        model, x, y, sample_weight: As for `Hessian`.
        loss, loss_weights, training, batch_size, verbose: As for `Hessian`.

    Attributes:
        model_loss: `ModelLoss`, which computes the loss of a batch.
        variables: The trainable weights of the model.
        vectors: `FlatVectors` of these.
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
        training=False,
        batch_size=256,
        verbose=0,
    ):
        self.variables, self._passes = opened(
            model,
            (x, y, sample_weight),
            functools.partial(ModelLoss, model, loss, loss_weights),
            training=training,
            batch_size=batch_size,
            verbose=verbose,
        )
        self.vectors = FlatVectors(self.variables)
        self.model_loss = self._passes.model_loss
        self._compiled = {}
        self._compiled_total = CompiledFunction(self.model_loss.total, False)

    @property
    def samples(self):
        """The number of samples in the data, an int."""
        return int(self._passes.survey.samples)

    def sum(self, function):
        """The sum of what a function returns for the batches.

        Args:
            function: Callable of `(batch, share)`, compiled once, that returns
                the part of the batch in the loss and a list of tensors.
        """
        if function not in self._compiled:
            self._compiled[function] = self._passes.compiled(function)
        return self._passes.sum(self._compiled[function])

    def loss(self):
        """The loss at the weights that the model has now, a float.

        From one forward pass, without a look for changes of the data.
        """
        survey = self._passes.survey
        share = Share(survey.divisors, survey.samples, tf.constant(0, tf.int64))
        with unchanged_state(self.model_loss.model):
            return math.fsum(
                float(self._compiled_total(batch, share))
                for batch in self._passes.batches
            )
