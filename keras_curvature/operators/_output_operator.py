"""Matrices of the form Jᵀ·B·J, B acting on the outputs of a batch."""

import dataclasses

import tensorflow as tf

from keras_curvature.autodiff.jacobian import Linearization
from keras_curvature.losses.term import keep_masks
from keras_curvature.operators._model_operator import (
    ModelOperator,
    over_columns,
)


class OutputOperator(ModelOperator):
    """Σ Jᵀ·B·J over the batches of a data set.

    J is the Jacobian by the weights of the outputs that have a loss. A
    subclass implements `_output_curvature(terms, share)`, which returns B as a
    callable that maps a list of tensors in the shapes of these outputs to
    another one.
    """

    def _batch_product(self, batch, share, vectors):
        terms = []

        def outputs():
            predicted = self._model_loss.outputs(batch[0])
            terms.extend(self._model_loss.parts(batch, predicted, share))
            return [term.output for term in terms]

        linearization = Linearization(outputs, self.variables)
        loss = self._model_loss.value(terms)
        loss += self._model_loss.additional(batch, share)
        curve = self._output_curvature([detached(t) for t in terms], share)
        push = linearization.pushforward()

        def product(vector):
            return self.flatten(
                linearization.vector_jacobian_product(
                    curve(push(self.unflatten(vector)))
                )
            )

        return loss, [over_columns(product, vectors)]


def detached(term):
    """A term whose output is a constant with the mask it had."""
    output = tf.stop_gradient(term.output)
    keep_masks([term.output], output)
    return dataclasses.replace(term, output=output)
