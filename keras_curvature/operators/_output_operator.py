"""Matrices of the form Jᵀ·B·J, B acting on the outputs of a batch."""

import dataclasses

import tensorflow as tf

from keras_curvature.autodiff.jacobian import Linearization
from keras_curvature.losses.term import keep_masks
from keras_curvature.operators._model_operator import (
    ModelOperator,
    over_columns,
)
from keras_curvature.operators._sample_diagonal import (
    sample_jacobians,
    samples_at_once,
)


class OutputOperator(ModelOperator):
    """Σ Jᵀ·B·J over the batches of a data set.

    J is the Jacobian by the weights of the outputs that have a loss. A
    subclass implements `_output_curvature(terms, share)`, which returns B as a
    `BlockCurvature` or a `ScoreCurvature`.
    """

    def _batch_product(self, batch, share, vectors):
        terms, linearization = self._linearized(batch, share)
        curve = self._output_curvature(terms, share).product
        push = linearization.pushforward()

        def product(vector):
            return self.flatten(
                linearization.vector_jacobian_product(
                    curve(push(self.unflatten(vector)))
                )
            )

        return self._loss_of(terms, batch, share), [
            over_columns(product, vectors),
            *self._batch_vectors(terms, linearization),
        ]

    def _batch_vectors(self, terms, linearization):
        """Further sums of vectors that `_of_sums` needs."""
        return []

    def _linearized(self, batch, share):
        """The terms of a batch, detached, and the outputs they are of."""
        terms = []

        def outputs():
            predicted = self._model_loss.outputs(batch[0])
            terms.extend(self._model_loss.parts(batch, predicted, share))
            return [term.output for term in terms]

        linearization = Linearization(outputs, self.variables)
        if not terms:
            raise ValueError(
                "`loss` must be a loss of the outputs, or `model` compiled "
                "with one, for a matrix of the form JᵀBJ. Received: none."
            )
        return [detached(term) for term in terms], linearization

    def _loss_of(self, terms, batch, share):
        additional = self._model_loss.additional(batch, share)
        return self._model_loss.value(terms) + additional

    def diagonal(self, block_size=64):
        """The exact diagonal, of shape `(n,)`.

        From the Jacobian of each sample where the model has fewer outputs than
        weights and treats samples alone, and from products otherwise.

        Args:
            block_size: Int, columns that share a pass over the data where
                products are taken. Defaults to 64.
        """
        if not self._model_loss.training:
            at_once = samples_at_once(self._passes.survey, self.shape[0])
            if at_once is not None:
                diagonal = self._diagonal_by_samples(at_once)
                if diagonal is not None:
                    return diagonal
        return super().diagonal(block_size)

    def _diagonal_by_samples(self, at_once):
        *sums, difference = self._sum(self._batch_squares, at_once=at_once)
        if float(difference) > self._rounding:
            # The model mixes samples.
            return None
        diagonal = self._diagonal_of_sums(*sums)
        self._refuse_overflow(diagonal, tf.zeros(()))
        return diagonal

    def _batch_squares(self, batch, share):
        terms, linearization = self._linearized(batch, share)
        curvature = self._output_curvature(terms, share)

        def outputs_fn(batch):
            predicted = self._model_loss.outputs(batch[0])
            terms = self._model_loss.terms(batch, predicted)
            return [term.output for term in terms]

        jacobians, difference = sample_jacobians(
            outputs_fn,
            batch,
            curvature.rows,
            [term.output for term in terms],
            self.variables,
        )
        squares = curvature.squares(jacobians)
        squares = [
            tf.reshape(s, v.shape)
            for s, v in zip(squares, self.variables, strict=True)
        ]
        return self._loss_of(terms, batch, share), [
            self.flatten(squares),
            *self._batch_vectors(terms, linearization),
            difference,
        ]

    def _diagonal_of_sums(self, diagonal):
        return diagonal


def detached(term):
    """A term whose output is a constant with the mask it had."""
    output = tf.stop_gradient(term.output)
    keep_masks([term.output], output)
    return dataclasses.replace(term, output=output)
