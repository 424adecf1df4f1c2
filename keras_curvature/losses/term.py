"""One summand of a compiled loss, and how Keras reduces it."""

import dataclasses
import functools

import keras
import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class LossTerm:
    """One summand of the loss: Σ coefficients · loss.call(target, output).

    Args:
        loss: A `keras.losses.Loss`.
        target: Tensor, in the shape in which the batch holds it.
        output: Tensor, that output of the model.
        sample_weight: Tensor or None.
        weight: Float, the entry of `loss_weights`, or None for 1.

    Example:

    ```python
    import keras
    import numpy as np
    import tensorflow as tf
    import keras_curvature

    class Watched(keras_curvature.Sequential):
        def train_step(self, data):
            with keras_curvature.autodiff.CurvatureTape() as tape:
                logs = super().train_step(data)
                (term,) = tape.training_step.loss_terms()
                print(term.function, term.coefficients())
            return logs

    model = Watched([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", run_eagerly=True)
    model.fit(np.ones((8, 2)), np.zeros((8, 1)), verbose=0)
    ```
    """

    loss: keras.losses.Loss
    target: tf.Tensor
    output: tf.Tensor
    sample_weight: object
    weight: object

    @property
    def function(self):
        """The loss function of Keras that is computed, or None.

        For example `keras.losses.mean_squared_error`. None for a loss of the
        user's own class, whose `call` could be anything.
        """
        if type(self.loss).call is not keras.losses.MeanSquaredError.call:
            return None
        return self.loss.fn

    @property
    def arguments(self):
        """Dict of what the loss function is called with: `delta`, ..."""
        return loss_arguments(self.loss)

    def value(self):
        """This summand: a scalar tensor."""
        value = self.loss(self.target, self.output, self.sample_weight)
        return value if self.weight is None else value * self.weight

    @property
    def from_logits(self):
        """Whether the loss takes the output for a logit."""
        return bool(self.loss.get_config().get("from_logits", False))

    def coefficients(self):
        """∂(loss of the step) / ∂(loss of each sample).

        Holds the reduction, sample and class weights, masks, `loss_weights`
        and, on replicas, the division by their number; not a loss scale.

        Returns:
            Tensor in the shape of `loss.call(target, output)`, that of the
            output without its last axis.
        """
        losses = self.loss.call(
            tf.cast(self.target, self.loss.dtype),
            tf.cast(self.output, self.loss.dtype),
        )
        values = tf.stop_gradient(losses)
        keep_masks([self.output, losses], values)
        reduction = _Reduction(self.loss)
        with tf.GradientTape() as tape:
            tape.watch(values)
            total = reduction(values, values, self.sample_weight)
        coefficients = tape.gradient(total, values)
        if self.weight is not None:
            coefficients *= self.weight
        return coefficients


class _Reduction(keras.losses.Loss):
    """The reduction of another loss, applied to given values."""

    def __init__(self, loss):
        super().__init__(
            name=loss.name, reduction=loss.reduction, dtype=loss.dtype
        )

    def call(self, y_true, y_pred):
        return y_pred


def loss_arguments(loss):
    """What a loss passes on to its function: `delta`, `from_logits`, ..."""
    return loss._fn_kwargs


def keep_masks(sources, tensor):
    """Gives `tensor` the Keras masks of all sources."""
    masks = [getattr(source, "_keras_mask", None) for source in sources]
    masks = [mask for mask in masks if mask is not None]
    if masks:
        tensor._keras_mask = functools.reduce(tf.logical_and, masks)
