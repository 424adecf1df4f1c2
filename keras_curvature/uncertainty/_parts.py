"""Inputs part by part, so that what is held for them is bounded."""

import keras
import numpy as np
import tensorflow as tf


def in_parts(data, at_once):
    """The samples of a structure of arrays, at most so many at once.

    Args:
        data: Structure of arrays of shape `(samples, ...)`.
        at_once: Int ≥ 1.
    """
    data = keras.tree.map_structure(np.asarray, data)
    for start in range(0, len(keras.tree.flatten(data)[0]), at_once):
        rows = slice(start, start + at_once)
        yield keras.tree.map_structure(
            lambda array, rows=rows: tf.constant(array[rows]), data
        )
