"""Inputs part by part, so that what is held for them is bounded."""

import keras
import numpy as np
import tensorflow as tf


def in_parts(data, at_once):
    """The samples of a structure of arrays, at most so many at once.

    Args:
        data: Structure of arrays of shape `(samples, ...)`.
        at_once: Int ≥ 1.

    Raises:
        ValueError: if there are none.
    """
    data = keras.tree.map_structure(np.asarray, data)
    samples = len(keras.tree.flatten(data)[0])
    if not samples:
        raise ValueError("`x` must hold a sample or more. Received: none.")
    for start in range(0, samples, at_once):
        rows = slice(start, start + at_once)
        yield keras.tree.map_structure(
            lambda array, rows=rows: tf.constant(array[rows]), data
        )
