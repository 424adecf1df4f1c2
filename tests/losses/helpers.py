"""What the tests of losses share."""

import dataclasses

import numpy as np
import tensorflow as tf

from keras_curvature.losses import LossTerm, gauss_newton_form


def term_of(loss, target, output, *weights):
    """A term with float64 outputs."""
    return LossTerm(loss, target, tf.constant(output, "float64"), *weights)


def at(term, output):
    """The same term at other outputs, with the mask of its own."""
    output = tf.convert_to_tensor(output)
    mask = getattr(term.output, "_keras_mask", None)
    if mask is not None:
        output = tf.identity(output)
        output._keras_mask = mask
    return dataclasses.replace(term, output=output)


def difference_gradient(term, step=3e-4):
    """∂value/∂output by central differences of order step⁴."""
    start = term.output.numpy()
    value = tf.function(lambda output: at(term, output).value())

    def slope(index, distance):
        values = []
        for sign in (1, -1):
            moved = start.copy()
            moved[index] += sign * distance
            values.append(value(tf.constant(moved)).numpy())
        return (values[0] - values[1]) / (2 * distance)

    gradient = [
        (4 * slope(index, step / 2) - slope(index, step)) / 3
        for index in np.ndindex(start.shape)
    ]
    return np.reshape(gradient, start.shape)


def tape_gradient(term):
    with tf.GradientTape() as tape:
        tape.watch(term.output)
        value = term.value()
    return tape.gradient(value, term.output)


def form_of(*terms):
    return gauss_newton_form(terms, [tape_gradient(term) for term in terms])


def dense_factor(form):
    """S of each sample, shape (batch, m, m)."""
    batch, width = form.residuals.shape
    columns = [
        form.pull(tf.tile(row[None], (batch, 1)))
        for row in tf.eye(width, dtype=form.scale.dtype)
    ]
    return np.stack(columns, axis=-1)


def squared_factor(form):
    """S·Sᵀ of each sample, shape (batch, m, m)."""
    factor = dense_factor(form)
    return factor @ np.swapaxes(factor, 1, 2)


def difference_hessian(term, step=1e-3):
    """∂²value/∂output² of each sample, from differences of the gradient."""
    start = term.output.numpy()
    flat = start.reshape(len(start), -1)
    gradient = tf.function(lambda output: tape_gradient(at(term, output)))

    def gradient_at(column, distance):
        moved = flat.copy()
        moved[:, column] += distance
        return np.reshape(
            gradient(tf.constant(moved.reshape(start.shape))), flat.shape
        )

    columns = []
    for column in range(flat.shape[1]):
        near = gradient_at(column, step) - gradient_at(column, -step)
        far = gradient_at(column, 2 * step) - gradient_at(column, -2 * step)
        columns.append((8 * near - far) / (12 * step))
    return np.stack(columns, axis=-1)
