"""The least-squares step within a trust region."""

import tensorflow as tf

from keras_curvature._casting import cast


def trust_region_step(
    system, radius, damping, tolerance=0.1, max_iterations=10
):
    """The minimiser of ½‖A·z + r‖² among the z with ‖z‖ ≤ radius.

    The free minimiser where it is short enough, else z(λ) with the damping λ
    that solves ‖z(λ)‖ = radius, by Newton's method on 1/‖z(λ)‖ between
    bounds.

    Args:
        system: `NormalEquations`, `DualEquations` or `StackedQR`.
        radius: Scalar tensor > 0.
        damping: Scalar tensor ≥ 0, where the search for λ starts: that of the
            step before, or 0.
        tolerance: Float. ‖z‖ may differ from the radius by this fraction.
            Defaults to `0.1`.
        max_iterations: Int, of Newton's method. Defaults to `10`.

    Returns:
        Tuple `(z, damping)`: tensors of shape `(n,)` and `()`. z holds NaN
        where no damping within the iterations gave a finite step.

    Example:

    ```python
    import tensorflow as tf
    from keras_curvature.linalg import DualEquations, trust_region_step

    system = DualEquations(tf.eye(2), tf.constant([3.0, 4.0]))
    trust_region_step(system, tf.constant(1.0), tf.constant(0.0))
    # about [-0.6, -0.8], and λ = 4
    ```

    References:
        Moré, 1978, "The Levenberg-Marquardt algorithm: implementation and
        theory", section 5.
    """
    dtype = system.gradient.dtype
    least = cast(system.least_damping, dtype)
    # ‖z(λ)‖ ≤ ‖Aᵀr‖/λ, so the damping sought is below.
    upper = tf.maximum(tf.norm(system.gradient) / radius, least)
    start = tf.clip_by_value(cast(damping, dtype), least, upper)

    def unfinished(iteration, is_found, *_):
        return (iteration < max_iterations) & ~is_found

    def narrow(iteration, is_found, step, used, damping, lower, upper):
        step, length, slope = _at(system, damping)
        is_free = (damping <= least) & (length <= radius)
        is_found = is_free | (tf.abs(length - radius) <= tolerance * radius)
        # Where there is no Cholesky factor, the damping is too small.
        exists = tf.math.is_finite(length)
        too_small = ~exists | (length > radius)
        lower = tf.where(too_small, damping, lower)
        upper = tf.where(too_small, upper, damping)
        upper = tf.where(exists, upper, tf.maximum(upper, 100 * damping))
        newton = damping + length / radius * (length - radius) / slope
        is_inside = exists & (newton > lower) & (newton < upper)
        middle = tf.maximum(tf.sqrt(lower * upper), 1e-3 * upper)
        # From the right, Newton's step may pass the damping sought.
        is_past = exists & (newton <= least)
        outside = tf.where(is_past, least, middle)
        following = tf.where(is_inside, newton, outside)
        return iteration + 1, is_found, step, damping, following, lower, upper

    _, _, step, used, _, _, _ = tf.while_loop(
        unfinished,
        narrow,
        (
            tf.constant(0),
            tf.constant(False),
            tf.zeros_like(system.gradient),
            least,
            start,
            least,
            upper,
        ),
        parallel_iterations=1,
    )
    return step, used


def _at(system, damping):
    """z(λ), its length, and −d‖z(λ)‖/dλ."""
    step, squared_norm_by_inverse = system.solve(damping)
    length = tf.norm(step)
    return step, length, squared_norm_by_inverse(step) / length
