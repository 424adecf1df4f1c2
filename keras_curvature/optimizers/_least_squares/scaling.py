"""The units in which the lengths of steps of least squares are measured."""

import numpy as np
import tensorflow as tf

# Decay of the running maximum of column norms per step. 1 (Moré) measures steps
# by a start that may be of other orders of magnitude, which is to creep once
# norms fall; 0 lets the scale of a vanishing column collapse, and its weight
# evaporate. A factor of ten takes 22 steps, in networks, where columns come and
# go, 230.
_MEMORY_OF_FITS, _MEMORY = 0.9, 0.99
# How far a step may take one weight of a fit by itself, in terms of the largest
# value that it has had. A weight that makes no difference yet, beside residuals
# larger by orders of magnitude, has a short column and would be thrown to where
# it never makes one: a rate below 0, a pole among the data. Of 283 fits begun
# up to a factor of ten off, 33 ended above the best minimum known without a
# limit, and 11 with it; up to a factor of two off 9, and 4 (the same rules in
# NumPy).
_REACH = 2.0
# A weight by which less than this part of the outputs is made was meant as 0,
# and has no size to go by: from 1e-12 it would take 25 steps to 1.
_LEAST_PART = 1e-9
# The power of the column norms that is the scale of each weight.
_POWERS = {"identity": 0.0, "root": 0.5, "marquardt": 1.0}
CHOICES = ("auto", "blended", "shared", *_POWERS)
# From so many on, what a layer does to the outputs depends on those behind it.
_KERNELS_OF_DEEP = 3
# A step of this part of the weights is a long one. With a tenth of them it goes
# about as well.
_LONG = 1 / 3


def recent_norms(before, column_norms, is_fit):
    """max(0.9·before, ‖A_j‖), tensor of shape `(n,)`; 0.99 in networks."""
    memory = _MEMORY_OF_FITS if is_fit else _MEMORY
    memory = tf.constant(memory, before.dtype)
    return tf.maximum(memory * before, tf.cast(column_norms, before.dtype))


def kind_of(choice, variables):
    """The choice, with what it is by `"auto"` for these variables."""
    if choice != "auto":
        return choice
    is_deep = len(_kernels(variables)) >= _KERNELS_OF_DEEP
    return "blended" if is_deep else "marquardt"


def scaling_of(
    norms, kind, variables=(), relative_length=None, has_fewer_rows=False
):
    """The diagonal of D, tensor of shape `(n,)`.

    Args:
        norms: Recent norms of the columns, tensor of shape `(n,)`. Where one
            is 0 its scale is 1.
        kind: One of `CHOICES` but `"auto"`.
        variables: List of the variables that have these weights, for
            `"blended"` and `"shared"`.
        relative_length: Scalar tensor, the largest recent ‖D·d‖/‖D·w‖, 0
            before the first step, for `"blended"`.
        has_fewer_rows: Bool or scalar bool tensor, whether A has fewer rows
            than columns, for `"blended"`.
    """
    norms = tf.where(norms > 0, norms, tf.ones_like(norms))
    if kind in _POWERS:
        return norms ** tf.constant(_POWERS[kind], norms.dtype)
    inside, shares = _of_layers(variables, norms.shape[0])
    roots = tf.constant(np.sqrt(shares), norms.dtype)
    if kind == "shared":
        return roots * norms
    inside = tf.constant(inside, norms.dtype)
    blended = _blended(norms, inside, relative_length)
    return tf.where(has_fewer_rows, roots * blended, blended)


def _blended(norms, inside, relative_length):
    """n, in layers √(n² + e²·mean n²) with e between 1 and 0.

    Where steps are long a weight of a short column, by which the loss hardly
    changes now, would go far: units saturate, and a deep network stays on the
    plateau of its start. Where they are short none goes far, and the columns
    are the better scales.
    """
    # Squares of very large or small norms have no place in float32.
    unit = tf.reduce_max(norms)
    squares = tf.square(norms / unit)
    mean = tf.reduce_sum(inside * squares) / tf.reduce_sum(inside)
    one = tf.ones((), norms.dtype)
    part = tf.where(
        relative_length > 0, tf.minimum(one, relative_length / _LONG), one
    )
    blended = unit * tf.sqrt(squares + inside * tf.square(part) * mean)
    # Not 0, where others are longer by more than float32 can tell.
    return tf.maximum(norms, blended)


def _kernels(variables):
    """The matrices of layers such as Dense, by Keras's name for them."""
    return [
        v for v in variables if v.name.endswith("kernel") and len(v.shape) >= 2
    ]


def _of_layers(variables, size):
    """For each weight, whether its layer has a kernel, and its share s.

    s is proportional to the number of weights of its variable, and 1 on
    average: with D_j = √s·‖A_j‖ every kernel and every bias has an equal part
    of Σ‖A_j‖²/D_j². Without it, a kernel of thousands of weights takes nearly
    all of each step, as the fit can be reached by it alone.

    Others are numbers of the model's own, as the coefficients of an equation,
    in units of their own: their s is 1.

    Returns:
        Two float arrays of shape `(size,)`. Without layers all is one.
    """
    layers = {_layer(v) for v in _kernels(variables)}
    sizes = [v.value.shape.num_elements() for v in variables]
    inside = np.repeat([_layer(v) in layers for v in variables], sizes)
    if not inside.any():
        return np.ones(size), np.ones(size)
    shares = np.repeat(np.asarray(sizes, "float64"), sizes)
    shares = np.where(inside, shares / shares[inside].mean(), 1.0)
    return inside.astype("float64"), shares


def _layer(variable):
    return variable.path.rpartition("/")[0]


def largest_values(before, weights):
    """The largest |w_j| of a run so far, tensor of shape `(n,)`."""
    return tf.maximum(before, tf.abs(weights))


def within_reach(scaling, radius, largest, parts):
    """D with D_j ≥ Δ/(2·m_j): no step within Δ moves w_j by more than 2·m_j.

    Where w_j makes hardly any part of the outputs D_j stays.

    Args:
        scaling: The diagonal of D, tensor of shape `(n,)`.
        radius: Scalar tensor, the trust radius Δ.
        largest: m, tensor of shape `(n,)`.
        parts: ‖A_j‖·m_j over the norm of the outputs, of the same shape.
    """
    reach = tf.constant(_REACH, scaling.dtype) * largest
    is_known = (parts > _LEAST_PART) & (reach > radius / scaling.dtype.max)
    least = radius / tf.where(is_known, reach, tf.ones_like(reach))
    return tf.where(is_known, tf.maximum(scaling, least), scaling)
