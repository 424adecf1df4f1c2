"""Geodesic acceleration of the steps of damped least squares."""

import tensorflow as tf

from keras_curvature.autodiff import SecondDerivativeError
from keras_curvature.autodiff.directional import SecondDirectionalDerivative
from keras_curvature.linalg.dot import norm
from keras_curvature.optimizers._common.trust_region import LEAST_SQUARES
from keras_curvature.optimizers._least_squares.slices import (
    are_whole,
    sum_over_slices,
)

# The longest acceleration, relative to the step (Transtrum and Sethna): where
# the second order is as long as the first, the series is not to be trusted.
_LONGEST = 0.75
# With that some first steps of curve fits, whose radius is a guess, still leap
# into another valley. From here on a step of theirs has to show that the model
# holds all along it, by a gain ratio as near to 1 as lets the region grow.
_DOUBTFUL_OF_FITS = 0.5
_AS_PREDICTED = 1 - LEAST_SQUARES.very_good
# How near to that the next step may come. Its acceleration, relative to it, is
# in proportion to its length while the way goes on as it did.
_NEAREST = 0.8


def checked_acceleration(choice):
    """The choice if it is a bool or `"auto"`, else an error."""
    if isinstance(choice, bool) or choice == "auto":
        return choice
    raise ValueError(
        "`geodesic_acceleration` must be a bool or 'auto'. Received: "
        f"geodesic_acceleration={choice!r}."
    )


def pays(choice, mini_batches):
    """Whether to bend steps."""
    if choice == "auto":
        # A batch is soon followed by another: no step of it is worth more.
        # Many weights are no reason: the system then costs far more.
        return not mini_batches
    return choice


def geodesic_acceleration(
    objective, variables, slice_size, *, is_required=True
):
    """Half of a = −(AᵀA + λD²)⁻¹ Jᵀ·H_L·y″, for `DampedSteps`.

    Args:
        objective: `Objective`.
        variables: List of the trainable variables.
        slice_size: Int, the most samples to differentiate at once, all where
            the system holds the rows of all.
        is_required: Bool. `False` leaves steps straight where the model has
            no exact second derivatives, else that is an error.
    """

    def half_acceleration(factor, scaling):
        z = factor.step
        step = tf.cast(z / scaling, objective.weights.dtype)
        if factor.holds_rows:
            rows = second_order_rows(objective, variables, step)
            return -0.5 * factor.solve_rows(tf.cast(rows, z.dtype))
        term = second_order_term(objective, variables, step, slice_size)
        return -0.5 * factor.solve(tf.cast(term, z.dtype) / scaling)

    limit = _DOUBTFUL_OF_FITS if objective.is_fit else _LONGEST

    def acceleration(factor, scaling, predicted):
        z = factor.step
        unlimited = tf.constant(objective.weights.dtype.max, z.dtype)
        try:
            half = half_acceleration(factor, scaling)
        except SecondDerivativeError:
            if is_required:
                raise
            return tf.zeros_like(z), unlimited, unlimited
        step, length = norm(z), 2 * norm(half)
        # The step alone where there is no second derivative, and where the
        # loss cannot show whether to trust it.
        rounding = tf.cast(objective.rounding, predicted.dtype)
        is_bent = tf.math.is_finite(length) & (predicted > rounding)
        half = tf.where(is_bent, half, tf.zeros_like(half))
        # No ratio differs from 1 by −1 or less.
        doubt = tf.where(length <= _LONGEST * step, _AS_PREDICTED, -1)
        is_trusted = ~is_bent | (length <= limit * step)
        tolerance = tf.where(is_trusted, unlimited, tf.cast(doubt, z.dtype))
        # Apart from 0, so that it may be divided by.
        has_bend = is_bent & (length > 1e-6 * step)
        bend = tf.where(has_bend, length, tf.ones_like(length))
        longest = _NEAREST * limit * tf.square(step) / bend
        return half, tolerance, tf.where(has_bend, longest, unlimited)

    return acceleration


def second_order_term(objective, variables, step, slice_size):
    """Jᵀ·H_L·y″, with y″ the outputs' second derivative along a step.

    Args:
        objective: `Objective`.
        variables: List of the trainable variables.
        step: v, tensor of shape `(n,)`.
        slice_size: Int, the most samples to differentiate at once.

    Returns:
        Tensor of shape `(n,)`.
    """
    if not (objective.is_chain and are_whole(objective, slice_size)):
        objective.return_to_start()
    vectors = objective.unflatten(step)

    def add(total, inputs, outputs, form):
        value, pull = _second_derivative(objective, inputs, variables, vectors)
        pulled = pull(form.hessian_product(value))
        return total + objective.flatten(pulled)

    return sum_over_slices(add, tf.zeros_like(step), objective, slice_size)


def second_order_rows(objective, variables, step):
    """u = Sᵀy″ with Aᵀu = Jᵀ·H_L·y″: an entry for each row of A.

    Differentiates all samples at once, as A holds all of them.

    Args:
        objective: `Objective`.
        variables: List of the trainable variables.
        step: v, tensor of shape `(n,)`.

    Returns:
        Tensor of shape `(batch·m,)`, with a penalty `(batch·m + n,)`.
    """
    if not objective.is_chain:
        objective.return_to_start()
    value, _ = _second_derivative(
        objective, objective.inputs, variables, objective.unflatten(step)
    )
    rows = tf.reshape(objective.form.push(value), (-1,))
    if objective.penalty is None:
        return rows
    # The residuals of a penalty are linear in the weights.
    return tf.concat([rows, tf.zeros_like(step)], axis=0)


def _second_derivative(objective, inputs, variables, vectors):
    """That of the outputs along vectors, and the function u ↦ Jᵀ·u."""
    chain = objective.chain_of(inputs)
    if chain is not None:
        value = chain.second_derivative(vectors)
        return value, chain.vector_jacobian_product
    try:
        along = SecondDirectionalDerivative(
            lambda: objective.outputs_of(inputs), variables, vectors
        )
        return along.value, along.vector_jacobian_product
    except SecondDerivativeError as error:
        raise SecondDerivativeError(
            f"{error} Or set geodesic_acceleration=False."
        ) from error
