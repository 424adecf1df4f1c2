"""The loss of one batch as a function of all weights."""

import keras
import numpy as np
import tensorflow as tf

from keras_curvature.losses.gauss_newton_form import gauss_newton_form
from keras_curvature.losses.term import keep_masks
from keras_curvature.optimizers._common.flattening import Flattening


class Objective:
    """The loss of a batch, its outputs and its Gauss–Newton form.

    Args:
        step: `TrainingStep` whose outputs were computed at the current
            weights.
        variables: List of the trainable variables.
        curvature: Tensor c of shape `(n,)` for a penalty ½ Σ c·w² of the
            weights, or None.

    Attributes:
        inputs: The inputs of the batch.
        weights: Tensor of shape `(n,)`, all weights at the start.
        outputs: Tensor of shape `(batch, m)`, the outputs that have a loss.
        loss: Scalar tensor, L at the start, with the penalty.
        rounding: Scalar tensor, the change of L that rounding of the outputs
            and of their sum may cause.
        form: `GaussNewtonForm` at the start, without the penalty.
        curvature: As given.
    """

    def __init__(self, step, variables, curvature=None):
        self._step = step
        self.inputs = step.inputs
        self.curvature = curvature
        self._variables = list(variables)
        self._values = [tf.convert_to_tensor(v.value) for v in variables]
        self._flattening = Flattening(variables)
        self.weights = self.flatten(self._values)
        outputs = _detached(step.outputs)
        terms = step.with_outputs(outputs).loss_terms()
        sources = [term.output for term in terms]
        with tf.GradientTape() as tape:
            tape.watch(sources)
            loss = _total(terms)
        self._places = _places(sources, outputs)
        self.loss = self._with_penalty(loss, self.weights)
        self.form = gauss_newton_form(terms, tape.gradient(loss, sources))
        self.outputs = self._select(outputs)
        # An output that is off by ε changes L by ε·|∂L/∂output · output|.
        epsilon = np.finfo(self.weights.dtype.as_numpy_dtype).eps
        self.rounding = (
            4
            * epsilon
            * (
                tf.abs(self.loss)
                + tf.reduce_sum(tf.abs(self.form.gradient * self.outputs))
            )
        )

    def flatten(self, tensors):
        """Tensors in the shapes of the variables as one of shape `(n,)`."""
        return self._flattening.flatten(tensors)

    def unflatten(self, vector):
        """The inverse of `flatten`."""
        return self._flattening.unflatten(vector)

    def outputs_of(self, inputs):
        """The outputs that have a loss, shape `(batch, m)`."""
        return self._select(self._step.forward(inputs))

    def trial(self, step):
        """L at weights + step; leaves the model there."""
        weights = self.weights + step
        self._assign(self.unflatten(weights))
        outputs = self._step.forward()
        terms = self._step.with_outputs(_detached(outputs)).loss_terms()
        return self._with_penalty(_total(terms), weights)

    def _with_penalty(self, loss, weights):
        loss = tf.cast(loss, weights.dtype)
        if self.curvature is None:
            return loss
        return loss + tf.reduce_sum(self.curvature * weights**2) / 2

    def return_to_start(self):
        """Leaves the model exactly where it was."""
        self._assign(self._values)

    def move(self, is_accepted, step):
        """Leaves the model at weights + step, or exactly where it was."""
        moved = self.unflatten(self.weights + step)
        self._assign(
            [
                tf.where(is_accepted, new, old)
                for new, old in zip(moved, self._values, strict=True)
            ]
        )

    def _assign(self, values):
        for variable, value in zip(self._variables, values, strict=True):
            variable.assign(value)

    def _select(self, outputs):
        flat = keras.tree.flatten(outputs)
        return tf.concat(
            [
                tf.reshape(flat[i], (-1, int(np.prod(flat[i].shape[1:]))))
                for i in self._places
            ],
            axis=1,
        )


def _total(terms):
    return tf.add_n([term.value() for term in terms])


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


def _places(sources, outputs):
    """Where in the flattened outputs the tensors `sources` stand."""
    flat = [id(output) for output in keras.tree.flatten(outputs)]
    places = [flat.index(id(source)) for source in sources]
    if len(set(places)) < len(places):
        raise ValueError(
            "`loss` must hold one loss for each output where the Gauss-Newton "
            f"form is needed. Received: {len(places)} losses for "
            f"{len(set(places))} outputs. Return the output several times, or "
            "write the losses as several outputs of the model."
        )
    return places
