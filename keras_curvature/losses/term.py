"""One summand of a compiled loss, and how Keras reduces it."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from keras_curvature.losses.known_loss import calls_function
from keras_curvature.losses.reduction import (
    derivative_of_reduction,
    keep_masks,
)


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
        known_coefficients: What `coefficients` returns where it was computed
            before, see `with_coefficients`. Defaults to None.

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
    known_coefficients: tf.Tensor | None = None

    @property
    def function(self) -> Callable[..., Any] | None:
        """The loss function of Keras that is computed, or None.

        For example `keras.losses.mean_squared_error`. None for a loss of the
        user's own class, whose `call` could be anything.
        """
        return self.loss.fn if calls_function(type(self.loss)) else None

    @property
    def name(self) -> str:
        """The name of the loss function, or that of the loss."""
        return getattr(self.function, "__name__", self.loss.name)

    @property
    def arguments(self) -> dict[str, Any]:
        """Dict of what the loss function is called with: `delta`, ..."""
        return self.loss._fn_kwargs if self.function is not None else {}

    @property
    def from_logits(self) -> bool:
        """Whether the loss takes the output for a logit."""
        own = getattr(self.loss, "from_logits", False)
        return bool(self.arguments.get("from_logits", own))

    def value(self) -> tf.Tensor:
        """This summand: a scalar tensor.

        Without a reduction, the sum of the losses: what the gradient of a
        training step is taken of.
        """
        if self.known_coefficients is not None:
            return tf.reduce_sum(self.known_coefficients * self._losses())
        value = self.loss(self.target, self.output, self.sample_weight)
        value = tf.reduce_sum(value)
        return value if self.weight is None else value * self.weight

    def gradient(self) -> tf.Tensor:
        """∂(this summand) / ∂output, a tensor in the output's shape."""
        return self.value_and_gradient()[1]

    def value_and_gradient(self) -> tuple[tf.Tensor, tf.Tensor]:
        """`value` and `gradient` of one pass."""
        # A copy, because Keras takes the logits of a softmax in its place.
        output = tf.identity(self.output)
        keep_masks([self.output], output)
        here = dataclasses.replace(self, output=output)
        weights = self.known_coefficients
        with tf.GradientTape() as tape:
            tape.watch(output)
            result = here.value() if weights is None else here._losses()
        gradient = tape.gradient(result, output, weights)
        if weights is not None:
            result = tf.reduce_sum(weights * result)
        return result, gradient

    def with_coefficients(self) -> "LossTerm":
        """This summand with its coefficients computed, once for all outputs.

        `dataclasses.replace(term, output=...)` of it costs the losses of the
        samples and their sum. A loss that reduces the batch to one number
        itself has none, and stays as it is.
        """
        if self._reduces_itself:
            return self
        return dataclasses.replace(self, known_coefficients=self.coefficients())

    def undivided(self) -> tf.Tensor:
        """The same summand before its loss is divided for a mean.

        The values of several batches add up, and divided by the sum of their
        `divisor`s they are the value of all batches as one.
        """
        # copy.copy() would save the loss to a file and load it.
        loss = object.__new__(type(self.loss))
        vars(loss).update(vars(self.loss), reduction="sum")
        return dataclasses.replace(self, loss=loss)

    def divisor(self) -> tf.Tensor:
        """What the losses of the batch are divided by for their mean.

        Returns:
            Scalar tensor: the number of losses, or of those that a mask
            leaves, or the sum of their weights, as the reduction has it;
            None where the losses are only added up.
        """
        if self.loss.reduction in (None, "none", "sum"):
            return None
        plain = dataclasses.replace(self, weight=None)
        weighs = self.loss.reduction == "mean_with_sample_weight"
        if weighs and self.sample_weight is not None:
            return tf.reduce_sum(plain.undivided().coefficients())
        plain = dataclasses.replace(plain, sample_weight=None)
        # Keras divides by the number of replicas, too.
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        largest = tf.reduce_max(plain.coefficients()) * replicas
        return tf.round(tf.math.divide_no_nan(tf.ones_like(largest), largest))

    def rows(self) -> tf.Tensor | None:
        """The length of the first axis of the losses before their reduction.

        Returns:
            Scalar int32 tensor, or None for a loss that reduces the batch to
            one number itself.
        """
        if self._reduces_itself:
            return None
        losses = self._losses()
        return tf.shape(losses)[0] if losses.shape.rank else None

    @property
    def _reduces_itself(self):
        return type(self.loss).__call__ is not keras.losses.Loss.__call__

    def error(self) -> tf.Tensor:
        """output − target, their ranks matched as the loss matches them."""
        output = self.output
        target = keras.ops.convert_to_tensor(self.target, dtype=output.dtype)
        if self.function is not None:
            target, output = aligned(target, output)
        return output - target

    def coefficients(self) -> tf.Tensor:
        """∂(loss of the step) / ∂(loss of each sample).

        Holds the reduction, sample and class weights, masks, `loss_weights`
        and, on replicas, the division by their number; not a loss scale.

        Returns:
            Tensor in the shape of `loss.call(target, output)`, that of the
            output without its last axis.
        """
        if self.known_coefficients is not None:
            return self.known_coefficients
        losses = self._losses()
        keep_masks([self.output, losses], losses)
        coefficients = derivative_of_reduction(
            self.loss, losses, self.sample_weight
        )
        if self.weight is not None:
            coefficients *= self.weight
        return coefficients

    def _losses(self):
        return self.loss.call(
            keras.tree.map_structure(self._converted, self.target),
            keras.tree.map_structure(self._converted, self.output),
        )

    def _converted(self, tensor):
        return keras.ops.convert_to_tensor(tensor, dtype=self.loss.dtype)

    def entry_weights(self, entries: tf.Tensor | None = None) -> tf.Tensor:
        """What each entry counts in a loss that averages the last axis.

        Args:
            entries: Tensor, what the loss averages. Defaults to the output.

        Returns:
            Tensor that broadcasts to the shape of `entries`.

        Raises:
            ValueError: if the loss is not one for each row of the entries.
        """
        entries = self.output if entries is None else entries
        weights = self.coefficients_of(entries)
        # The weights have length 1 on the axes over which the loss averages.
        lengths = [
            length
            for length, own in zip(entries.shape, weights.shape, strict=True)
            if own == 1
        ]
        if None in lengths:
            count = tf.size(entries) / tf.maximum(tf.size(weights), 1)
            count = tf.cast(count, weights.dtype)
        else:
            count = math.prod(lengths)
        return tf.cast(weights / count, entries.dtype)

    def coefficients_of(self, entries: tf.Tensor) -> tf.Tensor:
        """`coefficients` with further axes, so that they scale the entries.

        Args:
            entries: Tensor, outputs or what the loss takes of them.

        Returns:
            Tensor that broadcasts to the shape of `entries`.

        Raises:
            ValueError: if the loss is not one for each row of the entries.
        """
        coefficients = self.coefficients()
        rank = coefficients.shape.rank
        if not entries.shape[:rank].is_compatible_with(coefficients.shape):
            raise self.error_of_rows(entries, coefficients)
        for _ in range(entries.shape.rank - rank):
            coefficients = tf.expand_dims(coefficients, -1)
        return coefficients

    def error_of_rows(
        self, entries: tf.Tensor, losses: tf.Tensor
    ) -> ValueError:
        """The `ValueError` for losses that are not one for each row."""
        return ValueError(
            f"The loss {self.name} must give one value for each row of its "
            f"output. Received: an output of shape {tuple(entries.shape)} and "
            f"losses of shape {tuple(losses.shape)}. Bring the targets into "
            "the shape of the outputs."
        )


def aligned(target, output):
    """Both in the shapes in which Keras gives them to a loss function."""
    loss = keras.losses.MeanSquaredError()
    loss.fn = lambda y_true, y_pred: (y_true, y_pred)
    return loss.call(target, output)
