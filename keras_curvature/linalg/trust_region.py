"""The least-squares step within a trust region."""

import tensorflow as tf


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
    least = tf.cast(system.least_damping, dtype)
    # ‖z(λ)‖ ≤ ‖Aᵀr‖/λ, so the damping sought is below.
    upper = tf.maximum(tf.norm(system.gradient) / radius, least)
    step, length, slope = _at(system, least)
    is_free = length <= (1 + tolerance) * radius
    # ‖z(λ)‖ is convex: Newton's step from the left stays on the left.
    newton = least + (length - radius) / slope
    lower = tf.where(tf.math.is_finite(newton), newton, least)

    def unfinished(iteration, used, damping, lower, upper, step, length):
        near = tf.abs(length - radius) <= tolerance * radius
        return (iteration < max_iterations) & ~(is_free | near)

    def narrow(iteration, used, damping, lower, upper, step, length):
        inside = (damping > lower) & (damping < upper)
        middle = tf.maximum(tf.sqrt(lower * upper), 1e-3 * upper)
        used = tf.where(inside, damping, middle)
        step, length, slope = _at(system, used)
        # Where there is no Cholesky factor, the damping is too small.
        exists = tf.math.is_finite(length)
        too_small = ~exists | (length > radius)
        lower = tf.where(too_small, tf.maximum(lower, used), lower)
        upper = tf.where(too_small, upper, tf.minimum(upper, used))
        upper = tf.where(exists, upper, tf.maximum(upper, 100 * used))
        newton = used + length / radius * (length - radius) / slope
        damping = tf.where(exists, newton, 10 * used)
        return iteration + 1, used, damping, lower, upper, step, length

    start = tf.cast(damping, dtype)
    _, used, _, _, _, step, _ = tf.while_loop(
        unfinished,
        narrow,
        (tf.constant(0), least, start, lower, upper, step, length),
    )
    return step, used


def _at(system, damping):
    """z(λ), its length, and −d‖z(λ)‖/dλ."""
    step, inverse = system.solve(damping)
    length = tf.norm(step)
    slope = tf.tensordot(step, inverse(step), axes=1) / length
    return step, length, slope
