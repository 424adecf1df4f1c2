"""The loss of one batch as a function of all weights."""

import dataclasses

import keras
import numpy as np
import tensorflow as tf

from keras_curvature.autodiff.dense_layers import dense_chain
from keras_curvature.losses.gauss_newton_form import gauss_newton_form
from keras_curvature.losses.reduction import keep_masks
from keras_curvature.optimizers._common.flattening import Flattening
from keras_curvature.optimizers._least_squares.fits import is_fit
from keras_curvature.optimizers._least_squares.point_sets import (
    JointForm,
    Part,
    PointSets,
    are_several,
)
from keras_curvature.optimizers._least_squares.refusals import (
    refuse_unknown_sizes,
)


class Objective:
    """The loss of a batch, its outputs and its Gauss–Newton form.

    Args:
        step: `TrainingStep` whose outputs were computed at the current
            weights.
        variables: List of the trainable variables.
        penalty: Tensor p of shape `(n,)` for a penalty ½ Σ p·w² of the
            weights, or None.

    Attributes:
        inputs: The inputs of the batch.
        weights: Tensor of shape `(n,)`, all weights at the start.
        outputs: Tensor of shape `(batch, m)`, the outputs that have a loss;
            `(rows, 1)` where their numbers of samples differ.
        loss: Scalar tensor, L at the start, with the penalty.
        loss_rounding: Scalar tensor, by how much two evaluations of L at the
            same weights may differ.
        rounding: Scalar tensor, the rounding error of `reduction`.
        form: `GaussNewtonForm` at the start, without the penalty.
        penalty: As given.
        parts: List of `Part`s, the samples whose Jacobians are taken
            together: one where all outputs have the same number of samples.
        is_fit: Bool, whether the weights are those of a formula.
    """

    def __init__(self, step, variables, penalty=None):
        self._step = step
        self.inputs = step.inputs
        self.penalty = penalty
        self._variables = list(variables)
        self.is_fit = is_fit(self._variables)
        self._values = [tf.convert_to_tensor(v.value) for v in variables]
        self._flattening = Flattening(variables)
        self.weights = self.flatten(self._values)
        outputs = _detached(step.outputs)
        refuse_unknown_sizes(outputs)
        self._terms = terms = [
            term.with_coefficients()
            for term in step.with_outputs(outputs).loss_terms()
        ]
        sources = [term.output for term in terms]
        self._indices = _indices(sources, outputs)
        loss, gradients = _loss_and_gradients(terms)
        self.loss = self._with_penalty(loss, self.weights)
        self._sets = self._chain = None
        if are_several(step.inputs, sources):
            self._sets = PointSets(step.inputs, sources)
            forms = self._sets.forms(terms, gradients)
            self.form = JointForm(forms)
            self.outputs = self._select(outputs)
            self.parts = [
                Part(inputs, self._sets.rows(index, sources), form)
                for index, (inputs, form) in enumerate(
                    zip(self._sets.inputs(), forms, strict=True)
                )
            ]
        else:
            self.form = gauss_newton_form(terms, gradients)
            self.outputs = self._select(outputs)
            self.parts = [Part(step.inputs, self.outputs, self.form)]
            self._chain = dense_chain(
                self._select(step.outputs), step.inputs, self._variables
            )
        self._gradient = self.form.gradient
        # An output that is off by ε changes L by ε·|∂L/∂output · output|.
        epsilon = np.finfo(self.weights.dtype.as_numpy_dtype).eps
        self.rounding = (
            4 * epsilon * tf.reduce_sum(tf.abs(self._gradient * self.outputs))
        )
        if penalty is not None:
            self.rounding += (
                4 * epsilon * tf.reduce_sum(penalty * self.weights**2)
            )
        self.loss_rounding = self.rounding + 4 * epsilon * tf.abs(self.loss)

    def flatten(self, tensors):
        """Tensors in the shapes of the variables as one of shape `(n,)`."""
        return self._flattening.flatten(tensors)

    def unflatten(self, vector):
        """The inverse of `flatten`."""
        return self._flattening.unflatten(vector)

    @property
    def width(self):
        """The most outputs that a sample has."""
        return max(part.outputs.shape[1] for part in self.parts)

    @property
    def has_fewer_residuals(self):
        """Whether than weights: a bool, or a tensor until a batch is known."""
        residuals, size = self.form.residuals, self.weights.shape[0]
        known = residuals.shape.num_elements()
        return tf.size(residuals) < size if known is None else known < size

    def outputs_of(self, inputs):
        """The outputs that have a loss, in the shape of `outputs`.

        Args:
            inputs: The inputs of the batch or of other samples; or samples of
                one of the `parts`, whose outputs it has then.
        """
        if self._sets is None or inputs is self.inputs:
            return self._select(self._step.forward(inputs))
        inputs, index = self._sets.pack(inputs)
        flat = keras.tree.flatten(self._step.forward(inputs))
        return self._sets.rows(index, [flat[i] for i in self._indices])

    @property
    def is_chain(self):
        """Whether the batch has a `DenseChain`, which needs no new pass."""
        return self._chain is not None

    def chain_of(self, inputs):
        """The `DenseChain` of these samples at the start, None if it is none.

        Args:
            inputs: As for `outputs_of`, where the model stands at the start.
        """
        if self._chain is None or inputs is self.inputs:
            return self._chain
        return dense_chain(self.outputs_of(inputs), inputs, self._variables)

    def reduction(self, step):
        """L(w) − L(w + step); leaves the model at w + step.

        Where the difference of the losses has lost its digits, as for targets
        much larger than the outputs, it is −½(g + g₊)ᵀ(y₊ − y) with the
        outputs y and g = ∂L/∂y, which is exact for squares.
        """
        weights = self.weights + step
        self._assign(self.unflatten(weights))
        outputs = keras.tree.flatten(self._step.forward())
        terms = [
            dataclasses.replace(term, output=outputs[i])
            for term, i in zip(self._terms, self._indices, strict=True)
        ]
        loss, gradients = _loss_and_gradients(terms)
        direct = self.loss - self._with_penalty(loss, weights)
        slope = self._gradient + self._joined(gradients)
        change = self._joined([term.output for term in terms]) - self.outputs
        by_outputs = -tf.reduce_sum(slope * change) / 2
        if self.penalty is not None:
            middle = self.penalty * (self.weights + weights) / 2
            by_outputs -= tf.reduce_sum(middle * step)
        lost = 1e3 * (self.loss_rounding - self.rounding)
        return tf.where(tf.abs(direct) <= lost, by_outputs, direct)

    def _with_penalty(self, loss, weights):
        loss = tf.cast(loss, weights.dtype)
        if self.penalty is None:
            return loss
        return loss + tf.reduce_sum(self.penalty * weights**2) / 2

    def return_to_start(self):
        """Leaves the model exactly where it was."""
        self._assign(self._values)

    def move(self, weights):
        """Leaves the model at these weights."""
        self._assign(self.unflatten(weights))

    def _assign(self, values):
        for variable, value in zip(self._variables, values, strict=True):
            variable.assign(value)

    def _select(self, outputs):
        flat = keras.tree.flatten(outputs)
        return self._joined([flat[i] for i in self._indices])

    def _joined(self, tensors):
        """Tensors of shape `(batch, ...)` as one of shape `(batch, m)`."""
        if self._sets is not None:
            return self._sets.column(tensors)
        if len(tensors) == 1 and tensors[0].shape.rank == 2:
            return tensors[0]
        return tf.concat(
            [tf.reshape(t, (-1, int(np.prod(t.shape[1:])))) for t in tensors],
            axis=1,
        )


def _loss_and_gradients(terms):
    """The sum of loss terms, and its gradients by their outputs."""
    values, gradients = zip(
        *(term.value_and_gradient() for term in terms), strict=True
    )
    return tf.add_n(values), gradients


def _detached(outputs):
    """The outputs apart from the operations that made them.

    Keras replaces the output of a softmax or sigmoid operation by its logits
    when it computes a cross-entropy, and then the loss is no function of the
    outputs.
    """

    def detach(output):
        detached = tf.identity(output)
        keep_masks([output], detached)
        return detached

    return keras.tree.map_structure(detach, outputs)


def _indices(sources, outputs):
    """Where in the flattened outputs the tensors `sources` stand."""
    flat = [id(output) for output in keras.tree.flatten(outputs)]
    indices = [flat.index(id(source)) for source in sources]
    if len(set(indices)) < len(indices):
        raise ValueError(
            "`loss` must hold one loss for each output where the Gauss-Newton "
            f"form is needed. Received: {len(indices)} losses for "
            f"{len(set(indices))} outputs. Return the output several times, or "
            "write the losses as several outputs of the model."
        )
    return indices
