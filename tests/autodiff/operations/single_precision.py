"""Operations that TensorFlow has in single precision only."""

import numpy as np
import tensorflow as tf

from tests.autodiff.operations.points import IMAGE, NORMAL

nn, raw = tf.nn, tf.raw_ops
# Single precision resolves no more, and only with a longer step.
_TOLERANCE, _STEP = 1e-3, 0.1
# Entries so far apart that none passes another in a step.
_APART = np.argsort(np.argsort(IMAGE, None)).reshape(IMAGE.shape) / 4 - 4


def _single(function):
    return lambda w: function(tf.cast(w, tf.float32))


def _normalized(name, is_training):
    def function(x):
        scale, offset = x[0, 0, 0] ** 2 + 1, x[0, 0, 1]
        statistics = [[], []] if is_training else [[0.1, 0.2], [0.5, 0.7]]
        return getattr(raw, name)(
            x=x,
            scale=scale,
            offset=offset,
            mean=statistics[0],
            variance=statistics[1],
            epsilon=0.1,
            is_training=is_training,
        )[0]

    return function


def _volume(x):
    return x[:, :, :, None]


def _ctc(x):
    return raw.CTCLoss(
        inputs=x[:, None],
        labels_indices=tf.constant([[0, 0]], tf.int64),
        labels_values=[1],
        sequence_length=[3],
    )[0]


def _lstm(x):
    peephole = tf.zeros([1])
    return raw.BlockLSTM(
        seq_len_max=tf.constant(3, tf.int64),
        x=x[:, None],
        cs_prev=x[:1, :1],
        h_prev=x[:1, :1],
        w=tf.concat([x, x[:1]], 0)[:, :1] * [[1.0, 2.0, -1.0, 3.0]],
        wci=peephole,
        wcf=peephole,
        wco=peephole,
        b=tf.zeros([4]),
    )[6]


def rows():
    images = {
        f"raw_ops.{name}, {mode}": _normalized(name, mode == "training")
        for name in ["FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"]
        for mode in ["training", "inference"]
    } | {
        "nn.avg_pool3d": lambda x: nn.avg_pool3d(_volume(x), 2, 1, "SAME"),
        "nn.max_pool3d": lambda x: nn.max_pool3d(_volume(x), 2, 1, "SAME"),
        "raw_ops.MaxPoolV2": lambda x: raw.MaxPoolV2(
            input=x, ksize=[1, 2, 2, 1], strides=[1, 1, 1, 1], padding="SAME"
        ),
        "nn.fractional_avg_pool": lambda x: nn.fractional_avg_pool(
            x, [1, 1.4, 1.4, 1], seed=3
        )[0],
        "nn.local_response_normalization": (
            lambda x: nn.local_response_normalization(x, 1)
        ),
        "image.crop_and_resize": lambda x: tf.image.crop_and_resize(
            x, [[0.1, 0.2, 0.8, 0.9]], [0], [3, 3]
        ),
        "image.crop_and_resize, nearest": lambda x: tf.image.crop_and_resize(
            x, [[0.1, 0.2, 0.8, 0.9]], [0], [3, 3], "nearest"
        ),
        "image.crop_and_resize by boxes": lambda x: tf.image.crop_and_resize(
            tf.constant(IMAGE, tf.float32),
            tf.reshape(x[0, 0, :2], [1, 4]) * 0.02 + [[0.1, 0.2, 0.8, 0.9]],
            [0],
            [3, 3],
        ),
        "image.resize, bicubic": lambda x: tf.image.resize(
            x, [6, 5], "bicubic"
        ),
        "raw_ops.ResizeBicubic": lambda x: raw.ResizeBicubic(
            images=x, size=[6, 5]
        ),
        "image.resize, bilinear": lambda x: tf.image.resize(x, [6, 5]),
        "image.resize, nearest": lambda x: tf.image.resize(
            x, [6, 5], "nearest"
        ),
        "raw_ops.ScaleAndTranslate": lambda x: raw.ScaleAndTranslate(
            images=x, size=[5, 5], scale=[1.2, 1.4], translation=[0.1, -0.2]
        ),
        "raw_ops.ImageProjectiveTransformV2": lambda x: (
            raw.ImageProjectiveTransformV2(
                images=x,
                transforms=tf.constant([[1.0, 0, 1, 0, 1, 1, 0, 0]]),
                output_shape=[4, 4],
                interpolation="NEAREST",
            )
        ),
        "raw_ops.ImageProjectiveTransformV3": lambda x: (
            raw.ImageProjectiveTransformV3(
                images=x,
                transforms=tf.constant([[1.0, 0, 1, 0, 1, 1, 0, 0]]),
                output_shape=[4, 4],
                fill_value=0.0,
                interpolation="NEAREST",
            )
        ),
    }
    matrices = {
        "math.approx_max_k": lambda x: tf.math.approx_max_k(x, 2)[0],
        "raw_ops.SparseMatMul": lambda x: raw.SparseMatMul(a=x, b=x**2),
        "raw_ops.BlockLSTM": _lstm,
        "raw_ops.CTCLoss": _ctc,
    }
    return {
        name: (_single(function), point, _TOLERANCE, _STEP)
        for functions, point in ((images, _APART), (matrices, NORMAL))
        for name, function in functions.items()
    }
