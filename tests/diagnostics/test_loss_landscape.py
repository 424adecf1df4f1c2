"""Landscapes, beside parabolas and by the lengths of filters."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_curvature.diagnostics import (
    filter_normalized_directions,
    loss_landscape,
)

layers = keras.layers
SAMPLES = 11


def line():
    """A linear model with its data and the gradient of a sample."""
    model = keras.Sequential([keras.Input((2,)), layers.Dense(1)])
    random = np.random.default_rng(0)
    x, y = random.normal(size=(SAMPLES, 2)), random.normal(size=(SAMPLES, 1))
    return model, x, y, np.column_stack([x, np.ones(SAMPLES)])


def weights_of(model):
    return np.concatenate([w.ravel() for w in model.get_weights()])


@pytest.mark.parametrize("are_zero", [False, True])
def test_a_plane_through_a_linear_model_is_a_paraboloid(are_zero, float64):
    model, x, y, one = line()
    if are_zero:
        # Then w + d and w − d have the same squares.
        model.set_weights([0 * w for w in model.get_weights()])
    before = model.get_weights()
    directions = np.random.default_rng(1).normal(size=(3, 2))
    found = loss_landscape(
        *(model, x, y),
        directions=directions,
        distance=2.0,
        points=5,
        loss="mse",
        batch_size=4,
    )
    a, b = found.coordinates
    np.testing.assert_array_equal(a, [-2, -1, 0, 1, 2])
    moved = (
        weights_of(model)
        + a[:, None, None] * directions[:, 0]
        + b[:, None] * directions[:, 1]
    )
    exact = np.mean((moved @ one.T - y[:, 0]) ** 2, -1)
    np.testing.assert_allclose(found.losses, exact)
    np.testing.assert_allclose(found.loss, exact[2, 2])
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_the_weights_return_where_a_loss_fails(float64):
    model, x, y, _ = line()
    before = weights_of(model)

    def loss(y_true, y_pred):
        error = tf.debugging.check_numerics((y_true - y_pred) ** 2, "too far")
        return tf.reduce_mean(error, -1)

    with pytest.raises(tf.errors.InvalidArgumentError):
        loss_landscape(
            *(model, x, y), directions=np.ones(3), distance=1e200, loss=loss
        )
    np.testing.assert_array_equal(weights_of(model), before)


def test_filters_move_by_their_own_lengths(float64):
    inputs = keras.Input((3,), dtype="int32")
    hidden = layers.Embedding(4, 5)(inputs)
    hidden = layers.Conv1D(2, 2)(hidden)
    hidden = layers.LayerNormalization()(hidden)
    model = keras.Model(inputs, layers.Dense(3)(layers.Flatten()(hidden)))
    directions = filter_normalized_directions(model, count=2, seed=4)
    assert directions.shape == (model.count_params(), 2)
    assert directions.dtype == tf.float64
    sizes = [v.shape.num_elements() for v in model.trainable_variables]
    for column in tf.transpose(directions):
        parts = tf.split(column, sizes)
        for variable, part in zip(
            model.trainable_variables, parts, strict=True
        ):
            part = tf.reshape(part, variable.shape).numpy()
            if part.ndim == 1:
                assert not part.any()
                continue
            axes = 1 if variable.name == "embeddings" else (0, 1)
            axes = 0 if part.shape == (4, 3) else axes
            np.testing.assert_allclose(
                np.linalg.norm(part, axis=axes),
                np.linalg.norm(variable.numpy(), axis=axes),
            )
    other = filter_normalized_directions(model, count=2, seed=5)
    assert np.abs(other - directions).max() > 0


def test_the_landscape_ignores_scales_that_relu_ignores(float64):
    model = keras.Sequential(
        [keras.Input((2,)), layers.Dense(4, "relu"), layers.Dense(1)]
    )
    x = np.random.default_rng(0).normal(size=(SAMPLES, 2))

    def losses():
        return loss_landscape(
            *(model, x, x[:, :1]),
            directions=filter_normalized_directions(model, count=1),
            points=3,
            loss="mse",
        ).losses

    before = losses()
    first, bias, second, last = model.get_weights()
    model.set_weights([10 * first, 10 * bias, second / 10, last])
    np.testing.assert_allclose(losses(), before)
    assert before[0] != before[2]


def test_bad_input_is_refused(float64):
    model, x, y, _ = line()
    for directions, problem in (
        (np.ones((3, 3)), r"shape \(3, 3\)"),
        (np.ones(4), "4 entries for the 3 trainable"),
        (np.full(3, np.nan), "NaN"),
    ):
        with pytest.raises(ValueError, match=problem):
            loss_landscape(model, x, y, directions=directions, loss="mse")
    with pytest.raises(ValueError, match="`distance` must be"):
        loss_landscape(
            model, x, y, directions=np.ones(3), distance=0, loss="mse"
        )
    flat = keras.Sequential([keras.Input((2,)), layers.LayerNormalization()])
    with pytest.raises(ValueError, match="`model` must have kernels"):
        filter_normalized_directions(flat)
