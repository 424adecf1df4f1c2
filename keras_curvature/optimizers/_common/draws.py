"""Uniform numbers for the rows of a batch, alike on any number of replicas."""

import tensorflow as tf

from keras_curvature.optimizers._common.replicas import replica_count
from keras_curvature.optimizers._common.random import random_uniforms


class Draws:
    """Uniform numbers by place in the global batch.

    Args:
        seed: Int ≥ 0 or tuple of them.
        step: Scalar integer tensor.
        first_row: Scalar tensor, see `first_row`.
    """

    def __init__(self, seed, step, first_row):
        self.seed = seed
        self.step = step
        self.first_row = tf.cast(first_row, tf.int64)

    def __call__(self, shape, dtype):
        shape = tf.cast(shape, tf.int64)
        first = self.first_row * tf.reduce_prod(shape[1:])
        flat = random_uniforms(
            self.seed, self.step, first, tf.reduce_prod(shape), dtype
        )
        return tf.reshape(flat, shape)


def first_row(output):
    """How many samples of the global batch lie on earlier replicas."""
    count = replica_count()
    if count == 1:
        return 0
    context = tf.distribute.get_replica_context()
    replicas = tf.range(count)
    own = tf.equal(replicas, context.replica_id_in_sync_group)
    sizes = context.all_reduce(
        tf.distribute.ReduceOp.SUM,
        tf.where(own, tf.shape(output)[0], 0),
    )
    return tf.reduce_sum(
        tf.where(replicas < context.replica_id_in_sync_group, sizes, 0)
    )
