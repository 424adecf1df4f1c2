"""Points where a formula divides by zero, ties, repeats or overflows."""

import numpy as np
import tensorflow as tf

math = tf.math
_FAR = [800.0, -800.0]
_HALF = [0.0, 0.5]


def rows():
    return {
        "reduce_prod, one zero": (tf.reduce_prod, [0.0, 2.0, 3.0]),
        "reduce_prod, two zeros": (tf.reduce_prod, [0.0, 2.0, 0.0]),
        "math.cumprod, zeros": (math.cumprod, [0.0, 2.0, 0.0]),
        "math.segment_prod, zeros": (
            lambda w: math.segment_prod(w, [0, 0, 0, 1]),
            [0.0, 0.0, 2.0, 3.0],
        ),
        "math.unsorted_segment_prod, zeros": (
            lambda w: math.unsorted_segment_prod(w, [1, 1, 0, 1], 2),
            [0.0, 0.0, 2.0, 3.0],
        ),
        "math.xlogy, x = 0": (lambda w: math.xlogy(w, tf.exp(w) + 1), _HALF),
        "math.xlog1py, x = 0": (lambda w: math.xlog1py(w, tf.exp(w)), _HALF),
        "math.xdivy, x = 0": (lambda w: math.xdivy(w, tf.exp(w)), _HALF),
        "math.multiply_no_nan, 0": (
            lambda w: math.multiply_no_nan(w, w),
            _HALF,
        ),
        "math.divide_no_nan, x = 0": (
            lambda w: math.divide_no_nan(w, tf.exp(w)),
            _HALF,
        ),
        "math.atan2, y = 0": (lambda w: math.atan2(w, tf.exp(w)), _HALF),
        "math.pow(x, 1), 0": (lambda w: tf.pow(w, 1.0), _HALF),
        "math.pow(x, 0), 0 and negative": (
            lambda w: tf.pow(w, 0.0) * tf.exp(w),
            [0.0, -0.5],
        ),
        "math.pow(x, [0, 1, 2, 3]), 0 and negative": (
            lambda w: tf.pow(w[:, None], [0.0, 1.0, 2.0, 3.0]),
            [0.0, -0.5],
        ),
        "math.pow(x, 2), 0 and negative": (
            lambda w: tf.pow(w, 2.0),
            [0.0, -0.5],
        ),
        "math.pow(x, 3), 0": (lambda w: tf.pow(w, 3.0), _HALF),
        "math.erfinv, 0": (math.erfinv, _HALF),
        "math.bessel_i0, 0": (math.bessel_i0, _HALF),
        "math.bessel_i1, 0": (math.bessel_i1, _HALF),
        "math.special.bessel_j0, 0": (math.special.bessel_j0, _HALF),
        "math.special.bessel_j1, 0": (math.special.bessel_j1, _HALF),
        "math.special.spence, 1": (math.special.spence, [1.0, 0.5]),
        "math.special.dawsn, 0": (math.special.dawsn, _HALF),
        "math.special.fresnel_sin, 0": (math.special.fresnel_sin, _HALF),
        "math.lgamma, 1 and 2": (math.lgamma, [1.0, 2.0]),
        "math.softplus, far": (math.softplus, _FAR),
        "math.sigmoid, far": (math.sigmoid, _FAR),
        "math.tanh, far": (math.tanh, _FAR),
        "math.log_sigmoid, far": (math.log_sigmoid, _FAR),
        "math.reduce_logsumexp, ties": (
            math.reduce_logsumexp,
            [1.0, 1.0, 1.0],
        ),
        "math.reduce_logsumexp, -inf": (
            lambda w: math.reduce_logsumexp(
                tf.concat([w, tf.constant([-np.inf], tf.float64)], 0)
            ),
            [1.0, 2.0],
        ),
        "math.reduce_variance, ties": (
            math.reduce_variance,
            [1.0, 1.0, 1.0],
        ),
        "reduce_sum, empty": (
            lambda w: tf.reduce_sum(w[:0]) + tf.reduce_sum(w**3),
            [1.0, 2.0],
        ),
        "reduce_prod, empty": (
            lambda w: tf.reduce_prod(w[:0]) * tf.reduce_sum(w**3),
            [1.0, 2.0],
        ),
        "gather, repeated": (lambda w: tf.gather(w, [0, 0, 1]), [1.0, 2.0]),
        "scatter_nd, repeated": (
            lambda w: tf.scatter_nd([[0], [0]], w, [2]),
            [1.0, 2.0],
        ),
        "dynamic_stitch, repeated": (
            lambda w: tf.dynamic_stitch([[0, 1], [1, 2]], [w**2, w**3]),
            [1.0, 2.0],
        ),
        "nn.embedding_lookup, repeated": (
            lambda w: tf.nn.embedding_lookup(w, [0, 0, 1]),
            [[1.0, 2.0], [3.0, 4.0]],
        ),
        "unstack and stack, scalar": (
            lambda w: tf.stack(tf.unstack(w)) ** 2,
            [0.0, 1.0],
        ),
    }
