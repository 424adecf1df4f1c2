"""The least-squares step within a trust region."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from keras_curvature._control_flow import while_loop
from keras_curvature.linalg.dot import norm
from keras_curvature.linalg.least_squares_system import (
    DampedFactor,
    LeastSquaresSystem,
)


def trust_region_step(
    system: LeastSquaresSystem,
    radius: float | tf.Tensor,
    damping: float | tf.Tensor,
    tolerance: float = 0.1,
    max_iterations: int = 10,
) -> DampedFactor:
    """The minimizer of ½‖A·z + r‖² among the z with ‖z‖ ≤ radius.

    The free minimizer where it is short enough, else z(λ) with the damping λ
    that solves ‖z(λ)‖ = radius, by Newton's method on 1/‖z(λ)‖ between
    bounds.

    Args:
        system: `LeastSquaresSystem`.
        radius: Number or scalar tensor > 0.
        damping: Number or scalar tensor ≥ 0, where the search for λ starts:
            that of the step before, or 0.
        tolerance: Float. ‖z‖ may differ from the radius by this fraction.
            Defaults to `0.1`.
        max_iterations: Int, the most dampings to try, each with a
            factorization. Defaults to `10`.

    Returns:
        `DampedFactor` of the damping found, with `step` z and `damping` λ. z
        holds NaN where no damping within the iterations gave a finite step.

    Example:

    ```python
    import tensorflow as tf
    from keras_curvature.linalg import DualEquations, trust_region_step

    system = DualEquations.from_rows(tf.eye(2), tf.constant([3.0, 4.0]))
    factor = trust_region_step(system, radius=1.0, damping=0.0)
    factor.step, factor.damping  # about [-0.6, -0.8], and 4
    ```

    References:
        Moré, 1978, "The Levenberg-Marquardt algorithm: implementation and
        theory", section 5.
    """
    gradient = system.gradient
    radius, damping = (
        tf.convert_to_tensor(value, gradient.dtype)
        for value in (radius, damping)
    )
    least = system.least_damping
    # Less damping is lost in the rounding of A.
    epsilon = np.finfo(gradient.dtype.as_numpy_dtype).eps
    lost = (epsilon * norm(system.column_norms)) ** 2
    # ‖z(λ)‖ ≤ ‖Aᵀr‖/λ, so the damping sought is below.
    upper = tf.maximum(norm(gradient) / radius, least)
    start = tf.clip_by_value(damping, least, upper)

    def unfinished(search):
        # All false where the step is NaN.
        length = norm(search.factor.step)
        is_free = (search.factor.damping <= least) & (length <= radius)
        is_found = is_free | (tf.abs(length - radius) <= tolerance * radius)
        return (search.iterations < max_iterations) & ~is_found

    def narrow(search):
        following, lower, upper = _next_damping(search, radius, least, lost)
        factor = system.factor(following)
        return (_Search(search.iterations + 1, factor, lower, upper),)

    (search,) = while_loop(
        unfinished,
        narrow,
        (_Search(tf.constant(1), system.factor(start), least, upper),),
    )
    return search.factor


class _Search(NamedTuple):
    """The factor of the last damping tried, and bounds of that sought."""

    iterations: tf.Tensor
    factor: DampedFactor
    lower: tf.Tensor
    upper: tf.Tensor


def _next_damping(search, radius, least, lost):
    """The damping to try next, and the bounds after the last one."""
    _, factor, lower, upper = search
    damping, length = factor.damping, norm(factor.step)
    # Where there is no Cholesky factor, the damping is too small.
    exists = tf.math.is_finite(length)
    is_too_small = ~exists | (length > radius)
    lower = tf.where(is_too_small, damping, lower)
    upper = tf.where(is_too_small, upper, damping)
    upper = tf.where(exists, upper, tf.maximum(upper, 100 * damping))
    # −d‖z(λ)‖/dλ.
    slope = factor.inverse_form(factor.step) / length
    newton = damping + length / radius * (length - radius) / slope
    # From the right, Newton's step may pass the damping sought.
    is_past = ~is_too_small & (newton <= least)
    # From the left it creeps where rounding alone makes z(λ) long.
    newton = tf.where(is_too_small, tf.maximum(newton, lost), newton)
    is_inside = exists & (newton > lower) & (newton < upper)
    middle = tf.maximum(tf.sqrt(lower * upper), 1e-3 * upper)
    outside = tf.where(is_past, least, middle)
    return tf.where(is_inside, newton, outside), lower, upper
