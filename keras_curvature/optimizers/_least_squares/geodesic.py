"""Geodesic acceleration of the steps of damped least squares."""

import tensorflow as tf

from keras_curvature.autodiff import SecondDerivativeError
from keras_curvature.autodiff.directional import SecondDirectionalDerivative
from keras_curvature.optimizers._least_squares.slices import sum_over_slices

# The longest acceleration, relative to the step. Transtrum and Sethna
# recommend it: where the second order is as long as the first, the series is
# not to be trusted.
_LONGEST = 0.75


def geodesic_acceleration(objective, variables, slice_size):
    """Half of a = −(AᵀA + λD²)⁻¹ Jᵀ·H_L·y″, for `DampedSteps`.

    Args:
        objective: `Objective`.
        variables: List of the trainable variables.
        slice_size: Int, the most samples to differentiate at once.
    """

    def acceleration(system, scaling, z, damping, predicted):
        step = tf.cast(z / scaling, objective.weights.dtype)
        curvature = curvature_along(objective, variables, step, slice_size)
        half = -0.5 * system.apply_inverse(
            damping, tf.cast(curvature, z.dtype) / scaling
        )
        length = 2 * tf.norm(half)
        # The step alone where there is no second derivative, and where the
        # loss cannot show whether to trust it.
        rounding = tf.cast(objective.rounding, predicted.dtype)
        is_bent = tf.math.is_finite(length) & (predicted > rounding)
        half = tf.where(is_bent, half, tf.zeros_like(half))
        return half, ~is_bent | (length <= _LONGEST * tf.norm(z))

    return acceleration


def curvature_along(objective, variables, step, slice_size):
    """Jᵀ·H_L·y″, with y″ the outputs' second derivative along a step.

    Leaves the model at the start of the step.

    Args:
        objective: `Objective`.
        variables: List of the trainable variables.
        step: v, tensor of shape `(n,)`.
        slice_size: Int, the most samples to differentiate at once.

    Returns:
        Tensor of shape `(n,)`.
    """
    objective.return_to_start()
    vectors = objective.unflatten(step)

    def add(total, inputs, outputs, form):
        try:
            along = SecondDirectionalDerivative(
                lambda: objective.outputs_of(inputs), variables, vectors
            )
        except SecondDerivativeError as error:
            raise SecondDerivativeError(
                f"{error} Or set geodesic_acceleration=False."
            ) from error
        cotangents = form.pull(form.push(along.value))
        pulled = along.vector_jacobian_product(cotangents)
        return total + objective.flatten(pulled)

    return sum_over_slices(add, tf.zeros_like(step), objective, slice_size)
