"""The curvature of the path that a step of least squares sets out on."""

import tensorflow as tf

from keras_curvature.autodiff.directional import SecondDirectionalDerivative
from keras_curvature.optimizers._slices import sum_over_slices


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
        along = SecondDirectionalDerivative(
            lambda: objective.outputs_of(inputs), variables, vectors
        )
        cotangents = form.pull(form.push(along.value))
        pulled = along.vector_jacobian_product(cotangents)
        return total + objective.flatten(pulled)

    return sum_over_slices(add, tf.zeros_like(step), objective, slice_size)
