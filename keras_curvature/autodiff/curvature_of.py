"""Which of the two ways gives an optimizer its curvature."""

import contextlib
from collections.abc import Sequence

import tensorflow as tf

from keras_curvature._typing import Variables
from keras_curvature.autodiff.curvature import Curvature
from keras_curvature.autodiff.curvature_tape import CurvatureTape
from keras_curvature.autodiff.gradient_graph import GradientGraph


def curvature_of(
    gradients: Sequence[tf.Tensor | tf.IndexedSlices | None],
    variables: Variables,
) -> Curvature:
    """The curvature of the loss whose gradients an optimizer was given.

    Inside a `CurvatureTape` it comes from nested tapes; elsewhere from the
    graph of the gradients, which needs a `tf.function` (as `fit` traces one).

    Args:
        gradients: List of tensors or `tf.IndexedSlices`, None where the loss
            does not depend on the variable.
        variables: List of the variables, in the same order.

    Returns:
        A `Curvature`, with the method `hessian_vector_product(vectors)`.

    Raises:
        RuntimeError: if the gradients are eager and no tape is open.

    Example:

    ```python
    import tensorflow as tf
    from keras_curvature.autodiff import curvature_of

    w = tf.Variable([1.0, 2.0])

    @tf.function
    def step(v):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(w**3)
        gradients = tape.gradient(loss, [w])
        return curvature_of(gradients, [w]).hessian_vector_product([v])

    step(tf.constant([1.0, 1.0]))  # [[6, 12]], the Hessian is diag(6 w)
    ```
    """
    tape = CurvatureTape.current()
    if tape is not None:
        return tape.curvature(gradients, variables)
    return GradientGraph(gradients, variables)


def not_recorded():
    """A context in which an open `CurvatureTape` records nothing."""
    tape = CurvatureTape.current()
    return contextlib.nullcontext() if tape is None else tape.stop_recording()
