"""The soft L1 loss."""

import keras
import tensorflow as tf

from keras_curvature.losses.robust_loss import RobustLoss, split


@keras.saving.register_keras_serializable(package="keras_curvature")
class SoftL1(RobustLoss):
    """Soft L1 loss: squares of small errors, magnitudes of large ones.

        ρ(e) = C²·(√(1 + (e/C)²) − 1),  ρ″ = (1 + (e/C)²)^(−3/2)

    `loss="soft_l1"` with `f_scale=C` in SciPy's `least_squares`, whose cost is
    the sum of ρ. Convex: of robust losses the one to try first. The
    Gauss–Newton form takes ρ′(e)/e = (1 + (e/C)²)^(−1/2) for ρ″.

    Args:
        scale: Float > 0, C in units of the outputs, the error from which on
            an output counts as an outlier. Defaults to `1.0`.
        reduction: As for `keras.losses.Loss`. Defaults to
            `"sum_over_batch_size"`.
        name: String. Defaults to `"soft_l1"`.
        dtype: As for `keras.losses.Loss`. Defaults to `None`.

    Raises:
        ValueError: if `scale` is not a finite number above 0.

    Example:

    A line through points one of which is wrong:

    ```python
    import keras
    import numpy as np
    import keras_curvature

    x = np.linspace(0, 1, 20)[:, None]
    y = 3 * x + 1
    y[7] = 10
    model = keras_curvature.Sequential(
        [keras.Input((1,)), keras.layers.Dense(1)]
    )
    model.compile(
        keras_curvature.optimizers.LevenbergMarquardt(),
        keras_curvature.losses.SoftL1(scale=0.1),
    )
    model.fit(x, y, batch_size=20, epochs=50, verbose=0)
    print(model.get_weights())  # close to 3 and 1
    ```

    References:
        Triggs et al., 2000, "Bundle adjustment: a modern synthesis",
        appendix 4.3 (second-order weights, as SciPy has them).
    """

    def _value(self, u):
        return u * (u / (1 + _root(u)))

    def _first(self, u):
        return u / _root(u)

    def _second(self, u):
        return self._weight(u) ** 3

    def _weight(self, u):
        return 1 / _root(u)


def _root(u):
    """√(1 + u²)."""
    m, s = split(u)
    return m * tf.sqrt(1 + s * s)
