"""One summand of a compiled loss, and how Keras reduces it."""

import dataclasses
import functools

import keras
import tensorflow as tf

from keras_curvature.losses.known_loss import calls_function


@dataclasses.dataclass(frozen=True)
class LossTerm:
    """One summand of the loss: Σ coefficients · loss.call(target, output).

    Args:
        loss: A `keras.losses.Loss`.
        target: Tensor, in the shape in which the batch holds it.
        output: Tensor, that output of the model.
        sample_weight: Tensor or None. Defaults to None.
        weight: Float, the entry of `loss_weights`, or None for 1. Defaults to
            None.

    Example:

    ```python
    import keras
    import tensorflow as tf
    from keras_curvature.losses import LossTerm

    target, output = tf.zeros((4, 1)), tf.ones((4, 1))
    term = LossTerm(keras.losses.Huber(), target, output, tf.ones((4,)), 0.5)
    print(term.function, term.value(), term.coefficients())
    ```
    """

    loss: keras.losses.Loss
    target: tf.Tensor
    output: tf.Tensor
    sample_weight: object = None
    weight: object = None

    @property
    def function(self):
        """The loss function of Keras that is computed, or None.

        For example `keras.losses.mean_squared_error`. None for a loss of the
        user's own class, whose `call` could be anything.
        """
        return self.loss.fn if calls_function(type(self.loss)) else None

    @property
    def name(self):
        """The name of the loss function, or that of the loss."""
        return getattr(self.function, "__name__", self.loss.name)

    @property
    def arguments(self):
        """Dict of what the loss function is called with: `delta`, ..."""
        return self.loss._fn_kwargs if self.function is not None else {}

    @property
    def from_logits(self):
        """Whether the loss takes the output for a logit."""
        own = getattr(self.loss, "from_logits", False)
        return bool(self.arguments.get("from_logits", own))

    def value(self):
        """This summand: a scalar tensor.

        Without a reduction, the sum of the losses: what the gradient of a
        training step is taken of.
        """
        value = self.loss(self.target, self.output, self.sample_weight)
        value = tf.reduce_sum(value)
        return value if self.weight is None else value * self.weight

    def gradient(self):
        """∂(this summand) / ∂output, a tensor in the output's shape."""
        # A copy, because Keras takes the logits of a softmax in its place.
        output = tf.identity(self.output)
        keep_masks([self.output], output)
        with tf.GradientTape() as tape:
            tape.watch(output)
            value = dataclasses.replace(self, output=output).value()
        return tape.gradient(value, output)

    def error(self):
        """output − target, their ranks matched as the loss matches them."""
        output = self.output
        target = keras.ops.convert_to_tensor(self.target, dtype=output.dtype)
        if self.function is not None:
            target, output = _aligned(target, output)
        return output - target

    def coefficients(self):
        """∂(loss of the step) / ∂(loss of each sample).

        Holds the reduction, sample and class weights, masks, `loss_weights`
        and, on replicas, the division by their number; not a loss scale.

        Returns:
            Tensor in the shape of `loss.call(target, output)`, that of the
            output without its last axis.
        """
        losses = self.loss.call(
            keras.ops.convert_to_tensor(self.target, dtype=self.loss.dtype),
            keras.ops.convert_to_tensor(self.output, dtype=self.loss.dtype),
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

    def entry_weights(self, entries=None):
        """What each entry counts in a loss that averages the last axis.

        Args:
            entries: Tensor, what the loss averages. Defaults to the output.

        Returns:
            Tensor that broadcasts to the shape of `entries`.

        Raises:
            ValueError: if the loss is not one for each row of the entries.
        """
        entries = self.output if entries is None else entries
        weights = self.coefficients()
        rank = weights.shape.rank
        if not entries.shape[:rank].is_compatible_with(weights.shape):
            raise ValueError(
                f"The loss {self.name} must give one value for each row of "
                f"its output. Received: an output of shape "
                f"{tuple(entries.shape)} and losses of shape "
                f"{tuple(weights.shape)}. Bring the targets into the shape of "
                "the outputs."
            )
        count = tf.size(entries) / tf.maximum(tf.size(weights), 1)
        weights /= tf.cast(count, weights.dtype)
        for _ in range(entries.shape.rank - rank):
            weights = weights[..., tf.newaxis]
        return tf.cast(weights, entries.dtype)


class _Reduction(keras.losses.Loss):
    """The reduction of another loss, applied to given values."""

    def __init__(self, loss):
        super().__init__(
            name=loss.name, reduction=loss.reduction, dtype=loss.dtype
        )

    def call(self, y_true, y_pred):
        return y_pred


def _aligned(target, output):
    """Both in the shapes in which Keras gives them to a loss function."""
    loss = keras.losses.MeanSquaredError()
    loss.fn = lambda y_true, y_pred: (y_true, y_pred)
    return loss.call(target, output)


def keep_masks(sources, tensor):
    """Gives `tensor` the Keras masks of all sources."""
    masks = [getattr(source, "_keras_mask", None) for source in sources]
    masks = [mask for mask in masks if mask is not None]
    if masks:
        tensor._keras_mask = functools.reduce(tf.logical_and, masks)
