"""The gradient of LRNGrad, which TensorFlow lacks."""

import tensorflow as tf


def local_response_normalization_grad(operation, cotangent):
    """Of LRNGrad(gradient, x, y).

    With s = bias + α Σ x² over a window of channels and y = x·s^(−β),

        LRNGrad = g·s^(−β) − 2αβ·x·Σ(g·x·s^(−β−1))

    whose derivatives by g and x a tape takes. y is a function of x.
    """
    gradient, x, _ = operation.inputs
    alpha, beta, bias = map(operation.get_attr, ("alpha", "beta", "bias"))
    channels = tf.shape(x)[-1]
    radius = tf.minimum(operation.get_attr("depth_radius"), channels)
    window = tf.linalg.band_part(
        tf.ones([channels, channels], x.dtype), radius, radius
    )
    with tf.GradientTape() as tape:
        tape.watch([gradient, x])
        scale = bias + alpha * tf.linalg.matvec(window, x**2)
        sums = tf.linalg.matvec(window, gradient * x * scale ** (-beta - 1))
        value = gradient * scale**-beta - 2 * alpha * beta * x * sums
    by_gradient, by_x = tape.gradient(
        value, [gradient, x], output_gradients=cotangent
    )
    return by_gradient, by_x, None
