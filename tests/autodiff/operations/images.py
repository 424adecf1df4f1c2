"""Convolutions, pooling and images."""

import tensorflow as tf

from tests.autodiff.operations.points import IMAGE, POSITIVE

nn = tf.nn


def _kernel(w):
    return w[0, :2, :2] ** 2


def _padded(padding):
    return {
        f"nn.conv2d, {padding}": lambda w: nn.conv2d(
            w, _kernel(w)[..., None], 1, padding
        ),
        f"nn.depthwise_conv2d, {padding}": lambda w: nn.depthwise_conv2d(
            w, _kernel(w)[..., None], [1, 1, 1, 1], padding
        ),
        f"nn.max_pool2d, {padding}": lambda w: nn.max_pool2d(w, 2, 1, padding),
        f"nn.avg_pool2d, {padding}": lambda w: nn.avg_pool2d(w, 2, 1, padding),
    }


def rows():
    functions = {
        **_padded("SAME"),
        **_padded("VALID"),
        "nn.conv1d": lambda w: nn.conv1d(
            w[0], _kernel(w)[0, :, :, None], 1, "SAME"
        ),
        "nn.conv3d": lambda w: nn.conv3d(
            w[:, :, :, None], _kernel(w)[:, :, None, :, None], [1] * 5, "SAME"
        ),
        "nn.conv2d_transpose": lambda w: nn.conv2d_transpose(
            w, tf.stack([_kernel(w)] * 2, -1), [1, 8, 8, 2], 2
        ),
        "nn.dilation2d": lambda w: nn.dilation2d(
            w, w[0, :2, :2], [1] * 4, "SAME", "NHWC", [1] * 4
        ),
        "nn.erosion2d": lambda w: nn.erosion2d(
            w, w[0, :2, :2], [1] * 4, "SAME", "NHWC", [1] * 4
        ),
        "nn.max_pool_with_argmax": lambda w: nn.max_pool_with_argmax(
            w, 2, 2, "SAME"
        )[0],
        "nn.fractional_max_pool": lambda w: nn.fractional_max_pool(
            w, 1.4, seed=3
        )[0],
        "nn.batch_normalization": lambda w: nn.batch_normalization(
            w, *nn.moments(w, [0, 1, 2]), None, None, 0.1
        ),
        "image.extract_patches": lambda w: tf.image.extract_patches(
            w, [1, 2, 2, 1], [1, 1, 1, 1], [1] * 4, "VALID"
        ),
        "extract_volume_patches": lambda w: tf.extract_volume_patches(
            w[..., None], [1, 2, 2, 1, 1], [1] * 5, "VALID"
        ),
    }
    return {name: (f, IMAGE) for name, f in functions.items()} | {
        "image.rgb_to_hsv": (
            lambda w: tf.image.rgb_to_hsv(w[None]),
            POSITIVE,
        )
    }
