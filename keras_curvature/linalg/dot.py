"""Entries, products of vectors and matrices, of an operation or two each.

`a[0]`, `tf.tensordot`, `tf.norm` and `tf.linalg.matvec` make up to ten of them,
which take longer to trace than to compute.
"""

import tensorflow as tf


def first(a):
    """The first entry, for a tensor whose first axis has a known length."""
    return tf.unstack(a)[0]


def dot(a, b):
    """aᵀb, for tensors of shape (n,)."""
    return tf.raw_ops.Einsum(inputs=[a, b], equation="i,i->")


def norm(a):
    """‖a‖, for a tensor of shape (n,)."""
    return tf.sqrt(dot(a, a))


def matvec(a, b):
    """A b, for tensors of shapes (m, n) and (n,)."""
    return tf.raw_ops.Einsum(inputs=[a, b], equation="ij,j->i")


def combination(a, b):
    """Aᵀb, for tensors of shapes (m, n) and (m,)."""
    return tf.raw_ops.Einsum(inputs=[a, b], equation="ij,i->j")


def outer(a, b):
    """a bᵀ, for tensors of shapes (m,) and (n,)."""
    return tf.expand_dims(a, 1) * b


def outer_products(a, b):
    """A Bᵀ, for tensors of shapes (m, n) and (k, n)."""
    return tf.raw_ops.Einsum(inputs=[a, b], equation="in,jn->ij")
