"""Sparse tensors, Python code and rounding."""

import tensorflow as tf

from tests.autodiff.operations.points import NORMAL


def _three(values):
    return tf.SparseTensor([[0, 0], [0, 2], [1, 1]], values, [2, 3])


def _two(values):
    return tf.SparseTensor([[0, 0], [1, 2]], values, [2, 3])


def rows():
    functions = {
        "sparse.sparse_dense_matmul": lambda w: tf.sparse.sparse_dense_matmul(
            _two(w[0, :2]), w
        ),
        "sparse.softmax": lambda w: tf.sparse.softmax(_three(w[0])).values,
        "sparse.reduce_sum": lambda w: tf.sparse.reduce_sum(_three(w[0]), 1),
        "sparse.add": lambda w: (
            tf.sparse.add(_three(w[0] ** 2), _two(w[1, :2] ** 2)).values
        ),
        "sparse times dense": lambda w: (_three(w[0]) * w[:2]).values,
        "sparse divided by dense": lambda w: (
            (_three(w[0]) / (tf.square(w[:2]) + 1)).values
        ),
        "sparse.to_dense": lambda w: tf.sparse.to_dense(_three(w[0])),
        "sparse.reorder": lambda w: tf.sparse.reorder(_three(w[0])).values,
        "sparse.slice": lambda w: (
            tf.sparse.slice(_three(w[0]), [0, 0], [1, 3]).values
        ),
        "sparse.fill_empty_rows": lambda w: (
            tf.sparse.fill_empty_rows(
                _three(w[0]), tf.constant(0.0, tf.float64)
            )[0].values
        ),
        "nn.embedding_lookup_sparse": lambda w: tf.nn.embedding_lookup_sparse(
            w, tf.sparse.from_dense([[1, 0], [1, 2]]), None, combiner="mean"
        ),
        "py_function": lambda w: tf.py_function(
            lambda x: x**3, [w], tf.float64
        ),
    }
    return {name: (f, NORMAL) for name, f in functions.items()}
