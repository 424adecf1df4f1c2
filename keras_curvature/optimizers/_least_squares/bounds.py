"""Bounds of the weights, from their constraints."""

import typing

import numpy as np
import tensorflow as tf

from keras_curvature.constraints.box import Box, box_of


class Bounds(typing.NamedTuple):
    """lower ≤ w ≤ upper, tensors of shape `(n,)`."""

    lower: tf.Tensor
    upper: tf.Tensor

    def project(self, weights):
        """The nearest weights within the bounds."""
        return tf.clip_by_value(weights, self.lower, self.upper)

    def reached(self, weights):
        """The nearest weights within, at a bound where rounding misses it."""
        weights = self.project(weights)
        epsilon = np.finfo(weights.dtype.as_numpy_dtype).eps
        for bound in self:
            is_near = tf.abs(weights - bound) <= 4 * epsilon * tf.abs(bound)
            weights = tf.where(
                is_near & tf.math.is_finite(bound), bound, weights
            )
        return weights

    def blocked(self, weights, gradient):
        """The weights at a bound that a descent of the loss would cross."""
        return ((weights <= self.lower) & (gradient > 0)) | (
            (weights >= self.upper) & (gradient < 0)
        )


def bounds_of(variables):
    """`Bounds` of all weights, None where no variable is constrained."""
    if all(v.constraint is None for v in variables):
        return None
    parts = [_flat_bounds(v) for v in variables]
    return Bounds(
        *(tf.concat(side, axis=0) for side in zip(*parts, strict=True))
    )


def _flat_bounds(variable):
    """Lower and upper bounds, tensors of shape `(size,)`."""
    box = box_of(variable.constraint) or Box()
    lower, upper = box.lower, box.upper
    try:
        sides = [np.broadcast_to(b, variable.shape) for b in (lower, upper)]
    except ValueError as error:
        raise ValueError(
            "The bounds of a Box must be numbers or arrays that can be "
            f"broadcast to the weight. Received: lower of shape {lower.shape} "
            f"and upper of shape {upper.shape} for {variable.path} of shape "
            f"{tuple(variable.shape)}."
        ) from error
    return [tf.constant(side.ravel(), variable.dtype) for side in sides]
