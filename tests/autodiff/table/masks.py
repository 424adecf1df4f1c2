"""Masks that rows give to their layers."""

import tensorflow as tf


def mask(x):
    """All but the last two steps of every sample."""
    steps = tf.range(tf.shape(x)[1])[tf.newaxis] < tf.shape(x)[1] - 2
    return tf.repeat(steps, tf.shape(x)[0], axis=0)


def lower_triangle(length):
    """(1, length, length), true where a step may look at another."""
    ones = tf.ones((1, length, length), tf.bool)
    return tf.linalg.band_part(ones, -1, 0)
