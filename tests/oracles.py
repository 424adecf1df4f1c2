"""What products with a Hessian are compared with."""

import keras
import numpy as np
import tensorflow as tf


def values_of(variables):
    """The `tf.Variable`s behind Keras variables."""
    return [
        getattr(v, "value", v) if not isinstance(v, tf.Variable) else v
        for v in variables
    ]


def flat(tensors):
    """One vector of all entries, as NumPy."""
    return np.concatenate(
        [np.reshape(tf.convert_to_tensor(t).numpy(), -1) for t in tensors]
    )


# Rows beyond which a graph is sooner traced than they are computed eagerly.
_FEW_ROWS = 200


def dense_hessian(loss_fn, variables):
    """∂²L/∂w² over all variables, row by row by `tape.jacobian`."""
    sources = values_of(variables)
    size = sum(s.shape.num_elements() for s in sources)
    rows = _hessian_rows
    if size > _FEW_ROWS:
        rows = tf.function(_hessian_rows, autograph=False)
    blocks = rows(loss_fn, sources)
    return np.concatenate([np.reshape(b, (size, -1)) for b in blocks], 1)


def _hessian_rows(loss_fn, sources):
    with tf.GradientTape(persistent=True) as outer:
        with tf.GradientTape() as inner:
            loss = loss_fn()
        gradients = inner.gradient(loss, sources)
        gradients = tf.concat(
            [tf.reshape(tf.convert_to_tensor(g), [-1]) for g in gradients], 0
        )
    blocks = outer.jacobian(
        gradients,
        sources,
        experimental_use_pfor=False,
        unconnected_gradients="zero",
    )
    return [tf.convert_to_tensor(block) for block in blocks]


def difference_product(loss_fn, variables, vectors, step=1e-3):
    """H·v by central differences of the gradient, float64, order step⁴."""
    sources = values_of(variables)
    start = [tf.identity(s) for s in sources]
    compiled = tf.function(lambda: _gradients(loss_fn, sources))

    def gradient_at(distance):
        for source, origin, vector in zip(sources, start, vectors, strict=True):
            source.assign(origin + distance * tf.cast(vector, origin.dtype))
        return flat(compiled())

    near = gradient_at(step) - gradient_at(-step)
    far = gradient_at(2 * step) - gradient_at(-2 * step)
    for source, origin in zip(sources, start, strict=True):
        source.assign(origin)
    # Richardson: the errors of order step² cancel.
    return (8 * near - far) / (12 * step)


def extrapolated_difference(function, steps, enough):
    """df(h)/dh at 0 by central differences, and an estimate of its error.

    Of D(h), D(h/2) and D(h/4) Richardson's rule cancels the errors in h² and
    h⁴, which pays as long as rounding is small beside them. The estimate is
    taken that differs least from its predecessor, of all steps: large ones
    suit single precision, small ones functions with kinks.

    Args:
        function: Callable that maps a float to an array.
        steps: Floats h, tried in this order.
        enough: Relative error at which no further step is tried.
    """
    best, best_error = None, np.inf
    for step in steps:
        first, second, third = (
            (function(h) - function(-h)) / (2 * h)
            for h in (step, step / 2, step / 4)
        )
        coarse, fine = (4 * second - first) / 3, (4 * third - second) / 3
        for estimate, change in (
            (second, second - first),
            ((16 * fine - coarse) / 15, fine - coarse),
        ):
            error = float(np.abs(change).max())
            if error < best_error:
                best, best_error = estimate, error
        if best_error <= enough * np.abs(fine).max():
            break
    return best, best_error


def _gradients(loss_fn, sources):
    with tf.GradientTape() as tape:
        loss = loss_fn()
    return [tf.convert_to_tensor(g) for g in tape.gradient(loss, sources)]


def random_like(variables, seed=1):
    """Standard normal arrays with the shapes and dtypes of the variables."""
    generator = np.random.default_rng(seed)
    return [
        generator.standard_normal(v.shape).astype(
            keras.backend.standardize_dtype(v.dtype)
        )
        for v in variables
    ]
