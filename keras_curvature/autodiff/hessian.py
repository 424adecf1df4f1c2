"""Hessian-vector products of a loss function."""

from collections.abc import Callable

import tensorflow as tf

from keras_curvature._typing import Variables, Vectors
from keras_curvature.autodiff.curvature_tape import CurvatureTape
from keras_curvature.autodiff.variables import (
    as_tf_variable,
    refuse_complex,
    variable_name,
)


def hessian_vector_product(
    loss_fn: Callable[[], tf.Tensor], variables: Variables, vectors: Vectors
) -> list[tf.Tensor]:
    """H·v of a scalar function of variables, by nested tapes.

        H·v = ∂(gᵀv)/∂w,  g = ∂L/∂w,  H = ∂²L/∂w²

    Reverse mode over reverse mode, the fastest of the exact formulations by
    measurement (benchmarks/hessian_products.py). Works eagerly and inside
    `tf.function`, plain and with `jit_compile`.

    Args:
        loss_fn: Callable without arguments that returns a scalar tensor.
        variables: List of `keras.Variable`s or `tf.Variable`s.
        vectors: List of tensors with the shapes of the variables, None for
            zero.

    Returns:
        List of dense tensors with the shapes and dtypes of the variables.

    Raises:
        ValueError: if the loss is not a scalar, does not depend on one of the
            variables, or no gradient depends on any variable.

    Example:

    ```python
    import tensorflow as tf
    from keras_curvature.autodiff import hessian_vector_product

    w = tf.Variable([1.0, 2.0])
    hessian_vector_product(lambda: tf.reduce_sum(w**3), [w], [[1.0, 1.0]])
    # [[6, 12]], the Hessian is diag(6 w)
    ```

    References:
        Pearlmutter, 1994, "Fast exact multiplication by the Hessian".
    """
    variables = list(variables)
    with CurvatureTape() as curvature_tape:
        curvature_tape.watch(variables)
        _, gradients = loss_and_gradients(loss_fn, variables)
    curvature = curvature_tape.curvature(gradients, variables)
    return curvature.hessian_vector_product(vectors)


def loss_and_gradients(loss_fn, variables):
    """`loss_fn()` and its gradients; refuses what has none."""
    sources = [as_tf_variable(v) for v in variables]
    with tf.GradientTape() as tape:
        tape.watch(sources)
        loss = tf.convert_to_tensor(loss_fn())
    refuse_unless_scalar(loss)
    gradients = tape.gradient(loss, sources)
    refuse_unconnected(gradients, variables, "The loss")
    return loss, gradients


def refuse_unless_scalar(loss):
    """Raises where a loss still has axes, which tapes would sum silently."""
    refuse_complex([loss], "The loss")
    if loss.shape.rank != 0:
        raise ValueError(
            "`loss_fn` must return a scalar. Received: a tensor of shape "
            f"{tuple(loss.shape)}. Reduce it, for example with tf.reduce_mean."
        )


def refuse_unconnected(derivatives, variables, what):
    """Raises where a derivative is missing, naming the variables."""
    missing = [
        variable_name(variable)
        for derivative, variable in zip(derivatives, variables, strict=True)
        if derivative is None
    ]
    if missing:
        raise ValueError(
            f"{what} must depend on each of `variables`. Received: no "
            f"gradient for {', '.join(missing)}. Leave these variables out, "
            "or look for an operation without a derivative on their way."
        )
