"""The gradient of SoftsignGrad, which TensorFlow lacks."""

import tensorflow as tf


def softsign_grad(operation, cotangent):
    """Of SoftsignGrad(gradient, x) = gradient / (1 + |x|)²."""
    gradient, x = operation.inputs
    scale = 1 / (1 + tf.abs(x))
    return (
        cotangent * scale**2,
        -2 * cotangent * gradient * tf.sign(x) * scale**3,
    )
