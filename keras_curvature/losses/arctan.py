"""The arctan loss."""

import keras
import tensorflow as tf

from keras_curvature.losses.robust_loss import RobustLoss, split


@keras.saving.register_keras_serializable(package="keras_curvature")
class Arctan(RobustLoss):
    """Arctan loss: bounded, so that outliers count alike however far.

        ρ(e) = C²/2·arctan((e/C)²),  ρ″ = (1 − 3(e/C)⁴) / (1 + (e/C)⁴)²

    `loss="arctan"` with `f_scale=C` in SciPy's `least_squares`, whose cost is
    the sum of ρ. Outliers do not pull at all, and there are as many minima as
    there are groups of points to believe: start near the right one, for
    example from a fit with `SoftL1`. The Gauss–Newton form takes
    ρ′(e)/e = 1 / (1 + (e/C)⁴) for ρ″, where SciPy takes ρ″ and a tiny number
    where it is negative.

    Args:
        scale: Float > 0, C in units of the outputs, the error from which on
            an output counts as an outlier. Defaults to `1.0`.
        reduction: As for `keras.losses.Loss`. Defaults to
            `"sum_over_batch_size"`.
        name: String. Defaults to `"arctan"`.
        dtype: As for `keras.losses.Loss`. Defaults to `None`.

    Raises:
        ValueError: if `scale` is not a finite number above 0.

    Example:

    ```python
    import keras_curvature

    loss = keras_curvature.losses.Arctan(scale=2.0)
    float(loss([[0.0]], [[2.0]]))  # 2·arctan 1 = 1.571
    ```

    References:
        Triggs et al., 2000, "Bundle adjustment: a modern synthesis",
        appendix 4.3 (second-order weights, as SciPy has them).
    """

    def _value(self, u):
        # Where u² has overflowed, this is π/4.
        return tf.atan(u * u) / 2

    def _first(self, u):
        m, s = split(u)
        return s / m / m / (1 + s**4)

    def _second(self, u):
        m, s = split(u)
        numerator = (1 / m) ** 4 - 3 * (u / m) ** 4
        return numerator / m / m / m / m / (1 + s**4) ** 2

    def _weight(self, u):
        m, s = split(u)
        return (1 / m) ** 4 / (1 + s**4)
