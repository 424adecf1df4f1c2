"""Products with all unit vectors, for what is small enough."""

import tensorflow as tf


def exact_diagonal(products):
    """The diagonal of a small operator, tensor of shape (n,)."""
    parts = []
    for block in blocks(products, products.size):
        columns = unit_vectors(products, block)
        parts.append(tf.reduce_sum(columns * products(columns), axis=0))
    return tf.concat(parts, axis=0)


def unit_vectors(products, indices):
    """Columns of the identity, shape (n, indices)."""
    return tf.one_hot(indices, products.size, axis=0, dtype=products.dtype)


def blocks(products, count):
    """The numbers below `count` in ranges that one product takes."""
    step = products.columns_at_once
    return [
        range(start, min(start + step, count))
        for start in range(0, count, step)
    ]
