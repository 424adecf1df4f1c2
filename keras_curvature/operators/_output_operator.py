"""Matrices of the form Jᵀ·B·J, B acting on the outputs of a batch."""

import dataclasses

import numpy as np
import tensorflow as tf

from keras_curvature.autodiff.jacobian import Linearization
from keras_curvature.linalg.inverse_cholesky import lower_rows, whole
from keras_curvature.losses.reduction import keep_masks
from keras_curvature.operators._layer_sums import LayerSums, from_grams
from keras_curvature.operators._model_operator import (
    ModelOperator,
    over_columns,
)
from keras_curvature.operators._sample_diagonal import (
    sample_jacobians,
    samples_at_once,
)
from keras_curvature.operators.kronecker.layer_jacobians import (
    LayerJacobians,
    UnknownUse,
)


class OutputOperator(ModelOperator):
    """Σ Jᵀ·B·J over the batches of a data set.

    J is the Jacobian by the weights of the outputs that have a loss. A
    subclass implements `_output_curvature(terms, share)`, which returns B as a
    `BlockCurvature` or a `ScoreCurvature`.
    """

    # Of the sums that a matrix is made of, if not that of the model.
    _matrix_dtype = None

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
            *self._batch_vectors(terms, linearization.vector_jacobian_product),
        ]

    def _batch_vectors(self, terms, pull):
        """Further sums of vectors that `_of_sums` needs.

        Args:
            terms: List of the terms of the batch.
            pull: Callable that maps cotangents of their outputs to Jᵀ·them.
        """
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

    def diagonal(self, block_size: int = 64) -> tf.Tensor:
        """The exact diagonal, of shape `(n,)`.

        Where the model has fewer outputs than weights and treats samples
        alone: from the inputs and signals of its layers if all weights are
        kernels, biases, scales and tables of such, by as many backward passes
        as outputs; if not, from the Jacobian of each sample. Otherwise from
        products.

        Args:
            block_size: Int, columns that share a pass over the data where
                products are taken. Defaults to 64.
        """
        sums = self._sum_by_layers(self._batch_layer_squares)
        if sums is None:
            sums = self._sum_by_samples(self._batch_squares)
        if sums is None:
            return super().diagonal(block_size)
        return self._finite(self._diagonal_of_sums(*sums))

    def to_dense(self, block_size: int = 64) -> tf.Tensor:
        """The matrix itself, of shape `(n, n)`.

        From the Jacobian of each sample, in one pass over the data, where the
        model has fewer outputs than weights and treats samples alone, and from
        products otherwise.

        Args:
            block_size: Int, columns that share a pass over the data where
                products are taken. Defaults to 64.
        """
        return self._dense(self._sum_by_rows(), block_size)

    def to_lower_rows(
        self, dtype: tf.DType | str | None = None
    ) -> list[np.ndarray]:
        """The lower triangle of `to_dense`, in half of its memory.

        Args:
            dtype: In which the products of Jacobians are summed. In float64
                those of a float32 model keep small eigenvalues apart from
                zero. Defaults to that of the model.

        Returns:
            List of arrays, as `linalg.inverse_cholesky.lower_rows` has them.
        """
        if dtype is not None:
            other = self._restricted(range(len(self.variables)))
            other._matrix_dtype = tf.as_dtype(dtype)
            return other.to_lower_rows()
        sums = self._sum_by_rows()
        if sums is None or len(sums) > 1:
            return lower_rows(self._dense(sums))
        (rows,) = sums
        if not all(np.isfinite(np.vdot(row, row)) for row in rows):
            self._finite(tf.constant(whole(rows)))
        return rows

    def _dense(self, sums, block_size=64):
        """The matrix from `_sum_by_rows`, or in another way without them."""
        if sums is None:
            sums = self._sum_by_samples(self._batch_matrix)
        else:
            rows, *others = sums
            sums = tf.constant(whole(rows)), *others
        if sums is None:
            return super().to_dense(block_size)
        return self._finite(self._dense_of_sums(*sums))

    def _sum_by_rows(self):
        """Block rows of the lower triangle and further sums, or None."""
        sums = self._sum_by_layers(self._batch_layer_grams)
        if sums is None:
            return None
        grams = [part for part in sums if part.shape.rank == 3]
        outputs = self.shape[0] // grams[-1].shape[2]
        rows = [from_grams(gram, outputs).numpy() for gram in grams]
        return rows, *sums[len(grams) :]

    def _sum_by_samples(self, function):
        """The sums of a function of Jacobians, or None for products."""
        at_once = self._at_once()
        if at_once is None:
            return None
        return self._agreeing(self._sum(function, at_once=at_once))

    def _sum_by_layers(self, function):
        """The sums of a function of layers, or None where it has none."""
        if self._at_once() is None:
            return None
        try:
            return self._agreeing(self._sum(function))
        except UnknownUse:
            return None

    def _at_once(self):
        """For how many samples Jacobians are held, or None for products."""
        if self._model_loss.training:
            return None
        return samples_at_once(self._passes.survey, self.shape[0])

    def _agreeing(self, sums):
        """The sums but for the last, or None where the model mixes samples."""
        *sums, difference = sums
        return sums if float(difference) <= self._rounding else None

    def _finite(self, result):
        self._refuse_overflow(
            tf.reshape(result, (self.shape[0], -1)), tf.zeros(())
        )
        return result

    def _batch_squares(self, batch, share):
        def diagonal(curvature, jacobians):
            return tf.concat(curvature.squares(jacobians), 0)

        return self._of_jacobians(batch, share, diagonal)

    def _batch_matrix(self, batch, share):
        def matrix(curvature, jacobians):
            jacobian = tf.concat(jacobians, 2)
            return curvature.matrix(
                tf.cast(jacobian, self._matrix_dtype or self.dtype)
            )

        return self._of_jacobians(batch, share, matrix)

    def _batch_layer_squares(self, batch, share):
        return self._of_layers(
            batch, share, lambda sums: [self.flatten(sums.squares())]
        )

    def _batch_layer_grams(self, batch, share):
        def grams(sums):
            return sums.grams(self._matrix_dtype or self.dtype)

        return self._of_layers(batch, share, grams)

    def _of_layers(self, batch, share, function):
        """The loss, and a function of `LayerSums` to a list, of a batch."""
        # Without a tape, which would put other operations in the graph.
        predicted = self._model_loss.outputs(batch[0])
        terms = self._model_loss.parts(batch, predicted, share)
        outputs = [term.output for term in terms]
        terms = [detached(term) for term in terms]
        layers = LayerJacobians(outputs, self.variables)
        sums = LayerSums(layers, self._exact_curvature(terms, share))
        return self._loss_of(terms, batch, share), [
            *function(sums),
            *self._batch_vectors(terms, layers.gradients),
            layers.disagreement(),
        ]

    def _of_jacobians(self, batch, share, function):
        """The loss, and a function of curvature and Jacobians, of a batch."""
        terms, linearization = self._linearized(batch, share)
        curvature = self._exact_curvature(terms, share)

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
        jacobians = [tf.cast(j, self.dtype) for j in jacobians]
        return self._loss_of(terms, batch, share), [
            function(curvature, jacobians),
            *self._batch_vectors(terms, linearization.vector_jacobian_product),
            difference,
        ]

    def _exact_curvature(self, terms, share):
        """B, in the dtype of the matrix, so that zeros among values stay."""
        if self._matrix_dtype is not None:
            terms = [detached(term, self._matrix_dtype) for term in terms]
        return self._output_curvature(terms, share)

    def _diagonal_of_sums(self, diagonal):
        return diagonal

    def _dense_of_sums(self, matrix):
        return matrix


def detached(term, dtype=None):
    """A term whose output is a constant with the mask it had."""
    output = tf.stop_gradient(tf.cast(term.output, dtype or term.output.dtype))
    keep_masks([term.output], output)
    return dataclasses.replace(term, output=output)
