"""Data whose shapes or numbers a solver meets seldom."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_curvature
from keras_curvature.optimizers import (
    GaussNewton,
    LevenbergMarquardt,
    SolverError,
    StopReason,
)

X = np.random.default_rng(0).normal(size=(8, 2)).astype("float32")
Y = X @ np.array([[1.0], [-2.0]], "float32")
both = pytest.mark.parametrize("make", [LevenbergMarquardt, GaussNewton])


@both
def test_numbers_that_end_late_are_no_fault_of_the_start(make):
    model = keras_curvature.Sequential(
        [keras.Input((2,)), keras.layers.Dense(1)]
    )
    model.compile(make(mini_batches=True), "mse")
    x, y = np.concatenate([X] * 5), np.concatenate([Y] * 5)
    y[-8:] = np.nan
    with pytest.raises(SolverError) as error:
        model.fit(x, y, batch_size=8, shuffle=False, verbose=0)
    assert error.value.reason is StopReason.NON_FINITE
    assert "at the weights that the model has" in str(error.value)
    assert "initial" not in str(error.value)
    assert model.optimizer.progress["accepted_steps"] > 0


def padded(**options):
    """Sequences of other lengths, whose length no graph knows."""
    parts = [X[:2], X[:5], X[5:]]
    dataset = tf.data.Dataset.from_generator(
        lambda: ((x, x @ np.array([[1.0], [-2.0]])) for x in parts),
        output_signature=(
            tf.TensorSpec((None, 2), "float32"),
            tf.TensorSpec((None, 1), "float32"),
        ),
    )
    return dataset.padded_batch(3, **options).repeat()


@both
def test_an_unknown_length_is_refused_with_a_way_out(make):
    model = keras_curvature.Sequential(
        [keras.Input((None, 2)), keras.layers.Dense(1)]
    )
    model.compile(make(), "mse")
    with pytest.raises(ValueError, match="padded_shapes"):
        model.fit(padded(), steps_per_epoch=1, verbose=0)
    # What the message advises.
    data = padded(padded_shapes=((5, 2), (5, 1)))
    model.fit(data, steps_per_epoch=20, verbose=0)
    np.testing.assert_allclose(
        model.layers[0].kernel.numpy(), [[1], [-2]], rtol=1e-4
    )


def test_an_unknown_length_that_a_layer_sums_up_is_no_obstacle():
    model = keras_curvature.Sequential(
        [
            keras.Input((None, 2)),
            keras.layers.GlobalAveragePooling1D(),
            keras.layers.Dense(1),
        ]
    )
    model.compile(LevenbergMarquardt(), "mse")
    data = padded().map(lambda x, y: (x, tf.reduce_mean(y, 1)))
    model.fit(data, steps_per_epoch=20, verbose=0)
    np.testing.assert_allclose(
        model.layers[1].kernel.numpy(), [[1], [-2]], rtol=1e-4
    )


class Conditions(keras_curvature.Model):
    """One field at several point sets."""

    def __init__(self):
        super().__init__()
        self.field = keras.layers.Dense(1)

    def call(self, points):
        return {name: self.field(x) for name, x in points.items()}


@both
def test_point_sets_of_different_lengths_are_shown_the_way(make):
    model = Conditions()
    model.compile(make(), {"inside": "mse", "edge": "mse"})
    x, y = {"inside": X, "edge": X[:3]}, {"inside": Y, "edge": Y[:3]}
    with pytest.raises(ValueError, match="different lengths train with"):
        model.fit(x, y, batch_size=8, verbose=0)
    # What the message advises.
    data = tf.data.Dataset.from_tensors((x, y)).repeat()
    model.fit(data, steps_per_epoch=20, verbose=0)
    np.testing.assert_allclose(
        model.field.kernel.numpy(), [[1], [-2]], rtol=1e-4
    )
