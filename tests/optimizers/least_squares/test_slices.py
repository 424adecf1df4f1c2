"""Sums over the samples of a batch, slice by slice."""

import types
from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf

from keras_curvature.optimizers._least_squares.slices import sum_over_slices


class Form(NamedTuple):
    """What `sum_over_slices` needs of a Gauss-Newton form."""

    residuals: tf.Tensor

    def gather(self, indices, weights):
        rows = tf.gather(self.residuals, indices)
        return Form(rows * weights[:, tf.newaxis])

    @property
    def rows(self):
        return (self.residuals,)

    def with_rows(self, residuals):
        return Form(residuals)


class Total(NamedTuple):
    """A structure to be carried: sums of two kinds, and a count."""

    products: tf.Tensor
    residuals: tf.Tensor
    calls: tf.Tensor


def total_of(inputs, residuals, slice_size):
    """Σ residual·(input, output), with outputs of twice the inputs."""
    part = types.SimpleNamespace(
        inputs=inputs,
        outputs=2 * inputs["x"],
        form=Form(residuals),
    )
    objective = types.SimpleNamespace(parts=[part])

    def add(total, inputs, outputs, form):
        assert isinstance(total, Total)
        factors = inputs["x"] * inputs["scale"] + outputs
        return Total(
            total.products + tf.reduce_sum(form.residuals * factors, axis=0),
            total.residuals + tf.reduce_sum(form.residuals),
            total.calls + 1,
        )

    zero = tf.zeros((), tf.float64)
    empty = Total(tf.zeros((2,), tf.float64), zero, tf.constant(0))
    return sum_over_slices(add, empty, objective, slice_size)


@pytest.mark.parametrize("samples", [7, None], ids=["known", "unknown"])
@pytest.mark.parametrize("jit", [False, True], ids=["graph", "jit"])
@pytest.mark.parametrize("slice_size", [1, 3, 6, 7, 8])
def test_every_sample_counts_once(slice_size, jit, samples, rng):
    x, scale, residuals = rng.normal(size=(3, 7, 2))
    spec = tf.TensorSpec((samples, 2), tf.float64)
    total = tf.function(
        lambda x, scale, residuals: total_of(
            {"x": x, "scale": scale}, residuals, slice_size
        ),
        input_signature=[spec] * 3,
        jit_compile=jit,
        autograph=False,
    )(x, scale, residuals)
    np.testing.assert_allclose(
        total.products, np.sum(residuals * (x * scale + 2 * x), axis=0)
    )
    np.testing.assert_allclose(total.residuals, np.sum(residuals))
    assert total.calls == -(-7 // slice_size)


@pytest.mark.parametrize("slice_size", [2, 5])
def test_it_runs_operation_by_operation_too(slice_size, rng):
    x, scale, residuals = rng.normal(size=(3, 5, 2))
    inputs = {"x": tf.constant(x), "scale": tf.constant(scale)}
    total = total_of(inputs, tf.constant(residuals), slice_size)
    np.testing.assert_allclose(
        total.products, np.sum(residuals * (x * scale + 2 * x), axis=0)
    )
