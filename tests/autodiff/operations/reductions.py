"""Reductions, cumulative sums and segments."""

import tensorflow as tf

from tests.autodiff.operations.points import NORMAL, POSITIVE

math = tf.math
_REDUCTIONS = "sum mean max min prod logsumexp variance std euclidean_norm"


def _reduced(name):
    return lambda w: getattr(math, f"reduce_{name}")(w, 1)


def _segments(name):
    return lambda w: getattr(math, f"segment_{name}")(w, [0, 0, 1])


def _unsorted(name):
    function = getattr(math, f"unsorted_segment_{name}")
    return lambda w: function(w, [1, 0, 1], 2)


def _sparse(name):
    function = getattr(tf.sparse, f"segment_{name}")
    return lambda w: function(w, [0, 0, 1], [0, 1, 1])


def _numbered(name):
    function = getattr(tf.sparse, f"segment_{name}")
    return lambda w: function(w, [0, 0, 1], [0, 1, 1], num_segments=3)


def rows():
    found = {}
    for name in _REDUCTIONS.split():
        found[f"math.reduce_{name}"] = _reduced(name), NORMAL
    for name in ["sum", "mean", "max", "min", "prod"]:
        found[f"math.segment_{name}"] = _segments(name), NORMAL
    for name in ["sum", "mean", "max", "min", "prod", "sqrt_n"]:
        found[f"math.unsorted_segment_{name}"] = _unsorted(name), NORMAL
    for name in ["sum", "mean", "sqrt_n"]:
        found[f"sparse.segment_{name}"] = _sparse(name), NORMAL
        found[f"sparse.segment_{name}, num_segments"] = _numbered(name), NORMAL
    return found | {
        "math.cumsum": (lambda w: math.cumsum(w, 1), NORMAL),
        "math.cumprod": (lambda w: math.cumprod(w, 1), POSITIVE),
        "math.cumulative_logsumexp": (
            lambda w: math.cumulative_logsumexp(w, 1),
            NORMAL,
        ),
        "math.cumulative_logsumexp, exclusive": (
            lambda w: math.cumulative_logsumexp(w, 1, exclusive=True)[:, 1:],
            NORMAL,
        ),
        "norm": (lambda w: tf.norm(w, axis=1), NORMAL),
        "math.l2_normalize": (lambda w: math.l2_normalize(w, 1), NORMAL),
        "sort": (lambda w: tf.sort(w, 1), NORMAL),
        "math.top_k": (lambda w: math.top_k(w, 2)[0], NORMAL),
        "nn.moments": (lambda w: tf.nn.moments(w, [1])[1], NORMAL),
        "nn.weighted_moments": (
            lambda w: tf.nn.weighted_moments(w, [1], w**2 + 1)[1],
            NORMAL,
        ),
        "scan": (lambda w: tf.scan(lambda a, x: tf.tanh(a * x), w), NORMAL),
        "map_fn": (lambda w: tf.map_fn(lambda x: x**3, w), NORMAL),
        "while_loop": (
            lambda w: tf.while_loop(
                lambda i, _: i < 2,
                lambda i, a: (i + 1, tf.sin(a * w)),
                (0, w),
                maximum_iterations=3,
            )[1],
            NORMAL,
        ),
        "cond": (
            lambda w: tf.cond(w[0, 0] > 9, lambda: w, lambda: w**3),
            NORMAL,
        ),
    }
