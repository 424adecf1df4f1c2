"""The diagonal by products with all unit vectors."""

import tensorflow as tf


def exact_diagonal(products):
    """The diagonal of a small operator, tensor of shape (n,)."""
    parts = []
    for indices in blocks(products, products.size):
        columns = tf.one_hot(
            indices, products.size, axis=0, dtype=products.dtype
        )
        parts.append(tf.reduce_sum(columns * products(columns), axis=0))
    return tf.concat(parts, axis=0)


def blocks(products, count):
    """The numbers below `count` in ranges that one product takes."""
    step = products.columns_at_once
    return [
        range(start, min(start + step, count))
        for start in range(0, count, step)
    ]
