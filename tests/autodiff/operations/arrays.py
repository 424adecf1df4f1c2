"""Indexing, joining and reshaping."""

import tensorflow as tf

from tests.autodiff.operations.points import NORMAL


def _scattered(name):
    function = getattr(tf, f"tensor_scatter_nd_{name}")
    return lambda w: function(w, [[0], [2]], w[1:] ** 2)


def rows():
    functions = {
        "gather_nd": lambda w: tf.gather_nd(w, [[0, 1], [0, 1], [2, 2]]),
        "reverse_sequence": lambda w: tf.reverse_sequence(w, [1, 2, 3], 1),
        "roll": lambda w: tf.roll(w, 1, 0),
        "reverse": lambda w: tf.reverse(w, [0]),
        "pad, reflect": lambda w: tf.pad(w, [[1, 1]] * 2, "REFLECT"),
        "pad, symmetric": lambda w: tf.pad(w, [[1, 1]] * 2, "SYMMETRIC"),
        "tile": lambda w: tf.tile(w, [2, 1]),
        "repeat": lambda w: tf.repeat(w, 2, 0),
        "broadcast_to": lambda w: tf.broadcast_to(w, [2, 3, 3]),
        "transpose": tf.transpose,
        "strided_slice": lambda w: w[::2, 1:],
        "concat": lambda w: tf.concat([w, tf.square(w)], 0),
        "split": lambda w: tf.split(w, 3)[1],
        "boolean_mask": lambda w: tf.boolean_mask(w, [True, False, True]),
        "dynamic_partition": lambda w: tf.dynamic_partition(w, [0, 1, 0], 2)[0],
        "space_to_batch": lambda w: tf.space_to_batch(
            w[None, :2, :2, None], [2, 2], [[0, 0], [0, 0]]
        ),
        "nn.depth_to_space": lambda w: tf.nn.depth_to_space(
            tf.reshape(w[:2, :2], [1, 1, 1, 4]), 2
        ),
        "linalg.diag": lambda w: tf.linalg.diag(w, k=1),
        "linalg.diag_part": tf.linalg.diag_part,
        "linalg.set_diag": lambda w: tf.linalg.set_diag(w, w[0]),
        "linalg.band_part": lambda w: tf.linalg.band_part(w, 1, 0),
        "TensorArray": lambda w: (
            tf.TensorArray("float64", 3).unstack(tf.square(w)).stack()
        ),
        "RaggedTensor": lambda w: tf.RaggedTensor.from_row_lengths(
            tf.reshape(w, [-1]), [2, 7]
        ).to_tensor(),
    }
    for name in ("add", "sub", "max", "min", "update"):
        functions[f"tensor_scatter_nd_{name}"] = _scattered(name)
    return {name: (f, NORMAL) for name, f in functions.items()}
