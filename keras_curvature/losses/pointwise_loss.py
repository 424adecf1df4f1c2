"""Losses that are means of one function of the error."""

import dataclasses

import tensorflow as tf

from keras_curvature.losses.known_loss import KnownLoss
from keras_curvature.losses.term import LossTerm


class PointwiseLoss(KnownLoss):
    """A mean over the last axis of ρ(output − target).

    A subclass implements `curvature`: ρ″, or ρ′(e)/e where ρ″ may be 0 or
    negative, as for robust losses. If ρ′(e)/e falls with |e|, the parabola of
    that curvature touches ρ at the error e and lies above it elsewhere.

    Example:

    ```python
    import keras
    import tensorflow as tf
    import keras_curvature

    @keras_curvature.losses.register_loss("log_cosh")
    class LogCosh(keras_curvature.losses.PointwiseLoss):
        def curvature(self, error, term):
            # ρ′ = tanh e; ρ″ = 1 − tanh² e would leave nothing of outliers.
            near_zero = tf.abs(error) < 1e-4
            safe = tf.where(near_zero, tf.ones_like(error), error)
            return tf.where(near_zero, 1 - error**2 / 3, tf.tanh(safe) / safe)

    model = keras_curvature.Sequential(
        [keras.Input((2,)), keras.layers.Dense(1)]
    )
    model.compile(keras_curvature.optimizers.LevenbergMarquardt(), "log_cosh")
    x = keras.random.normal((16, 2))
    model.fit(x, x[:, :1], batch_size=16, verbose=0)
    ```
    """

    def curvature(self, error: tf.Tensor, term: LossTerm) -> tf.Tensor:
        """ρ″(error), or what stands in for it.

        Args:
            error: Tensor, output − target.
            term: `LossTerm`, for the arguments of the loss.

        Returns:
            Tensor in the shape of `error`.
        """
        raise NotImplementedError

    def error(self, term: LossTerm) -> tf.Tensor:
        """output − target, for a loss that matches their ranks by itself.

        Args:
            term: `LossTerm`.

        Returns:
            Tensor, of the shape that the loss averages over its last axis.
        """
        return term.error()

    def squared_scale(self, term: LossTerm) -> tf.Tensor:
        # Targets may broadcast, so that several errors share one output: then
        # the curvatures add up, which is what the tape does.
        output = tf.stop_gradient(term.output)
        with tf.GradientTape() as tape:
            tape.watch(output)
            error = self.error(dataclasses.replace(term, output=output))
        curvature = self.curvature(tf.stop_gradient(error), term)
        weights = term.entry_weights(error)
        return tape.gradient(error, output, weights * curvature)
