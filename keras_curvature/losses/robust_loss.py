"""Losses that grow less than squares, so that outliers count less."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_curvature._checks import checked_number
from keras_curvature._derivatives import with_derivative
from keras_curvature._typing import Array
from keras_curvature.losses.known_loss import register_loss
from keras_curvature.losses.pointwise_loss import PointwiseLoss
from keras_curvature.losses.term import aligned


class RobustLoss(keras.losses.Loss):
    """Mean over the last axis of ρ(e) = C²·φ(e/C), e = output − target.

    With φ(u) = u²/2 + O(u⁴), so that errors far below the scale C count as
    half of their squares, as with `keras.losses.Huber`, and those far above
    it count less.

    A subclass writes four formulas of u = e/C: φ as `_value`, φ′ as `_first`,
    φ″ as `_second` and φ′(u)/u as `_weight`. The gradients through the loss
    are these formulas, and hold their digits for large and small errors.

    The Gauss–Newton form takes φ′(u)/u, the weight that iteratively reweighted
    least squares give an error, in the place of ρ″ = φ″(u), which is 0 or
    negative for outliers. If it falls with |u|, the parabola of that curvature
    touches ρ at e and lies above it elsewhere. It is never negative.

    Args:
        scale: Float > 0, C in units of the outputs: the error from which on
            an output counts as an outlier, `f_scale` of SciPy. Defaults to
            `1.0`.
        reduction: As for `keras.losses.Loss`. Defaults to
            `"sum_over_batch_size"`.
        name: String. Defaults to the snake-case class name.
        dtype: As for `keras.losses.Loss`. Defaults to `None`.

    Raises:
        ValueError: if `scale` is not a finite number above 0.

    Example:

    The loss of Geman and McClure, φ = u²/2 / (1 + u²):

    ```python
    import keras
    import keras_curvature

    @keras.saving.register_keras_serializable(package="my_project")
    class GemanMcClure(keras_curvature.losses.RobustLoss):
        def _value(self, u):
            return u**2 / 2 / (1 + u**2)

        def _first(self, u):
            return u / (1 + u**2) ** 2

        def _second(self, u):
            return (1 - 3 * u**2) / (1 + u**2) ** 3

        def _weight(self, u):
            return 1 / (1 + u**2) ** 2

    model = keras_curvature.Sequential(
        [keras.Input((2,)), keras.layers.Dense(1)]
    )
    model.compile(
        keras_curvature.optimizers.LevenbergMarquardt(), GemanMcClure(0.5)
    )
    x = keras.random.normal((16, 2))
    model.fit(x, x[:, :1], batch_size=16, verbose=0)
    ```

    References:
        Holland, Welsch, 1977, "Robust regression using iteratively reweighted
        least-squares", Communications in Statistics A6.
    """

    def __init__(
        self,
        scale: float = 1.0,
        *,
        reduction: str = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.scale = checked_number("scale", scale, above=0)

    def call(self, y_true: Array, y_pred: Array) -> tf.Tensor:
        u = self.errors(y_true, y_pred) / self.scale
        first = with_derivative(self._first, self._second)
        value = with_derivative(self._value, first)(u)
        # Not by C², which overflows sooner.
        return tf.reduce_mean(value * self.scale * self.scale, axis=-1)

    def errors(self, y_true: Array, y_pred: Array) -> tf.Tensor:
        """output − target, ranks matched as by Keras's own losses."""
        y_pred = keras.ops.convert_to_tensor(y_pred)
        y_true = keras.ops.convert_to_tensor(y_true, dtype=y_pred.dtype)
        y_true, y_pred = aligned(y_true, y_pred)
        return y_pred - y_true

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"scale": self.scale}

    def _value(self, u):
        raise NotImplementedError(f"{type(self).__name__} lacks `_value(u)`.")

    def _first(self, u):
        raise NotImplementedError(f"{type(self).__name__} lacks `_first(u)`.")

    def _second(self, u):
        raise NotImplementedError(f"{type(self).__name__} lacks `_second(u)`.")

    def _weight(self, u):
        raise NotImplementedError(f"{type(self).__name__} lacks `_weight(u)`.")


@register_loss(RobustLoss)
class KnownRobustLoss(PointwiseLoss):
    """ρ′(e)/e in the place of ρ″, as for `Huber`."""

    def error(self, term):
        return term.loss.errors(term.target, term.output)

    def curvature(self, error, term):
        weight = term.loss._weight(error / term.loss.scale)
        # A weight that has underflowed would lose a gradient that has not.
        info = np.finfo(error.dtype.as_numpy_dtype)
        return tf.maximum(weight, info.tiny / info.eps)


def split(u):
    """m = max(|u|, 1) and u/m²: u, or 1/u where |u| > 1.

    What is written in both has no powers that overflow.
    """
    m = tf.maximum(tf.abs(u), 1)
    return m, u / m / m
