"""Where an operation lies in a model, and how its refusal reads."""

import re

import tensorflow as tf

_NOISE = re.compile(
    r"^(gradient_tape|gradients(_\d+)?|hessian_vector_product(_\d+)?|"
    r"StatefulPartitionedCall|PartitionedCall)$"
)


# Derived from Exception itself, or AutoGraph would raise another type.
class SecondDerivativeError(Exception):
    """A second derivative that TensorFlow does not give, or gives wrong.

    Its message names the layer, the operation, why, and what to use instead.

    Example:

    ```python
    import numpy as np
    import tensorflow as tf
    from keras_curvature.autodiff import GradientGraph, SecondDerivativeError

    w = tf.Variable(2.0)

    @tf.function
    def product():
        with tf.GradientTape() as tape:
            value = w * tf.numpy_function(np.sin, [w], tf.float32)
        gradients = tape.gradient(value, [w])
        return GradientGraph(gradients, [w]).hessian_vector_product([1.0])

    try:
        product()
    except SecondDerivativeError as error:
        print(error)
    ```
    """

    # AutoGraph, which adds the user's line to an error raised while it traces,
    # keeps the type of those with this constructor only.
    __init__ = Exception.__init__


def refusal(operation, reason, instead):
    """The error that names the layer, the operation, why, and the way out."""
    return SecondDerivativeError(
        f"The second derivative of {operation.type} in {place(operation)} "
        f"is not available: {reason} Instead: {instead}"
    )


def place(operation):
    """The layer or scope that an operation belongs to, for messages."""
    # A tape's stand-in for an operation has no name; TensorFlow sets the
    # scope of the forward pass while it asks for the gradient.
    name = getattr(operation, "name", None)
    scope = (
        tf.get_current_name_scope() if name is None else name.rpartition("/")[0]
    )
    parts = [
        part for part in scope.split("/") if part and not _NOISE.match(part)
    ]
    return f"layer or scope '{'/'.join(parts)}'" if parts else "no named layer"
