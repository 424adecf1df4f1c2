"""Jacobians of each sample's outputs."""

import logging
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.testing import assert_allclose

import keras_curvature
from keras_curvature.autodiff import (
    Linearization,
    jacobian_vector_product,
    per_sample_jacobian,
    vector_jacobian_product,
)
from tests.oracles import values_of

DENSE = keras.layers.Dense
MODELS = {
    "scalar outputs": lambda: [DENSE(4, activation="tanh"), DENSE(1)],
    "several outputs": lambda: [DENSE(4, activation="tanh"), DENSE(3)],
    "outputs with axes": lambda: [DENSE(4), keras.layers.Reshape((2, 2))],
    "recurrent, scalar outputs": lambda: [
        keras.layers.Reshape((3, 2)),
        keras.layers.SimpleRNN(2),
        DENSE(1),
    ],
    "convolution": lambda: [
        keras.layers.Reshape((3, 2)),
        keras.layers.Conv1D(3, 2, activation="gelu"),
        keras.layers.GlobalAveragePooling1D(),
    ],
}


@pytest.mark.parametrize("in_function", [False, True])
@pytest.mark.parametrize("layers", MODELS)
def test_rows_are_those_of_the_whole_jacobian(
    layers, in_function, float64, rng
):
    model = keras.Sequential([keras.Input((6,)), *MODELS[layers]()])
    x = tf.constant(rng.normal(size=(4, 6)))

    def jacobians():
        return per_sample_jacobian(model, x, model.trainable_variables)

    outputs, rows = (tf.function(jacobians) if in_function else jacobians)()
    with tf.GradientTape(persistent=True) as tape:
        expected = model(x)
    whole = tape.jacobian(
        expected,
        values_of(model.trainable_variables),
        experimental_use_pfor=False,
    )
    assert_allclose(outputs, expected, atol=1e-14)
    for row, jacobian in zip(rows, whole, strict=True):
        assert_allclose(row, jacobian, atol=1e-13)


def test_of_a_linear_model_it_is_the_input():
    w = tf.Variable([[1.0], [2.0]])
    x = tf.constant([[3.0, 4.0], [5.0, 6.0], [7.0, 8.0]])
    outputs, (jacobian,) = per_sample_jacobian(lambda x: x @ w, x, [w])
    assert_allclose(outputs, [[11], [17], [23]])
    assert_allclose(jacobian[:, 0, :, 0], x)


def test_an_embedding_row_that_a_sample_reads_twice_counts_twice():
    layer = keras.layers.Embedding(3, 1)
    layer.build()
    _, (jacobian,) = per_sample_jacobian(
        lambda indices: tf.reduce_sum(layer(indices), (1, 2)),
        tf.constant([[2, 0, 2], [1, 0, 0]]),
        layer.variables,
    )
    assert_allclose(jacobian[:, :, 0], [[1, 0, 2], [2, 1, 0]])


def test_inputs_may_be_a_structure():
    w = tf.Variable(2.0)
    x, y = np.float32([1, 2, 3]), np.float32([4, 5, 6])
    residuals, (jacobian,) = per_sample_jacobian(
        lambda data: data["x"] * w**2 - data["y"], {"x": x, "y": y}, [w]
    )
    assert_allclose(residuals, 4 * x - y)
    assert_allclose(jacobian, 4 * x)


def test_an_empty_batch_has_no_rows():
    w = tf.Variable([[1.0], [2.0]])
    outputs, (jacobian,) = per_sample_jacobian(
        lambda x: x @ w, tf.zeros((0, 2)), [w]
    )
    assert outputs.shape == (0, 1)
    assert jacobian.shape == (0, 1, 2, 1)


@pytest.mark.parametrize("known_size", [False, True])
def test_a_batch_of_one_sample_is_one_of_its_rows(known_size, float64, rng):
    # keras.ops.add squeezes a tensor of one row, without naming the axis.
    inputs = [keras.Input((2,)), keras.Input((2,))]
    hidden = keras.layers.Add()([DENSE(2)(inputs[0]), DENSE(2)(inputs[1])])
    model = keras.Model(inputs, keras.layers.Add()([DENSE(2)(hidden), hidden]))
    x = [tf.constant(rng.normal(size=(3, 2))) for _ in inputs]
    signature = tf.TensorSpec((1 if known_size else None, 2), tf.float64)

    @tf.function(input_signature=[[signature, signature]], autograph=False)
    def jacobians(x):
        return per_sample_jacobian(model, x, model.trainable_variables)

    alone, rows = jacobians([t[:1] for t in x])
    together = tf.constant(model(x)[:1])
    assert_allclose(alone, together, atol=1e-14)
    expected = per_sample_jacobian(model, x, model.trainable_variables)[1]
    for row, whole in zip(rows, expected, strict=True):
        assert_allclose(row, whole[:1], atol=1e-14)


def test_outputs_without_a_row_for_each_sample_are_refused():
    w = tf.Variable([[1.0], [2.0]])
    with pytest.raises(ValueError, match="one row of outputs for each sample"):
        per_sample_jacobian(
            lambda x: tf.reduce_mean(x @ w), tf.ones((3, 2)), [w]
        )


@pytest.mark.parametrize("width", [1, 2])
def test_a_variable_without_influence_is_named(width):
    w, unused = tf.Variable(tf.ones((2, width))), tf.Variable(1.0, name="idle")
    with pytest.raises(ValueError, match="no gradient for idle"):
        per_sample_jacobian(lambda x: x @ w, tf.ones((3, 2)), [w, unused])


@pytest.mark.parametrize("choice", ["none", "Zero", None])
def test_a_choice_that_does_not_exist_is_refused(choice):
    w, x = tf.Variable([[1.0], [2.0]]), tf.ones((3, 2))
    v = [tf.ones((2, 1))]
    for call in (
        lambda **options: per_sample_jacobian(
            lambda x: x @ w, x, [w], **options
        ),
        lambda **options: Linearization(lambda: x @ w, [w], **options),
        lambda **options: jacobian_vector_product(
            lambda: x @ w, [w], v, **options
        ),
        lambda **options: vector_jacobian_product(
            lambda: x @ w, [w], tf.ones((3, 1)), **options
        ),
    ):
        with pytest.raises(ValueError, match="`unconnected_gradients` must be"):
            call(unconnected_gradients=choice)


def test_products_may_be_zero_where_nothing_is_connected():
    w, idle = tf.Variable([1.0, 2.0]), tf.Variable([3.0])
    pushed = jacobian_vector_product(
        lambda: w**2, [w, idle], [[1.0, 1.0], [1.0]], "zero"
    )
    assert_allclose(pushed, [2, 4])
    _, pulled = vector_jacobian_product(
        lambda: w**2, [w, idle], tf.ones(2), "zero"
    )
    assert_allclose(pulled, [0])


@pytest.fixture
def logged():
    """What TensorFlow logs meanwhile."""
    records = []

    class Keeping(logging.Handler):
        def emit(self, record):
            records.append(record)

    handler = Keeping()
    tf.get_logger().addHandler(handler)
    yield records
    tf.get_logger().removeHandler(handler)


class Reflected(keras.layers.Layer):
    """Images with a border that mirrors them, which is not vectorized."""

    def call(self, x):
        return tf.pad(x, [[0, 0], [1, 1], [0, 0], [0, 0]], "REFLECT")


@pytest.mark.parametrize("optimized", [False, True])
def test_one_warning_names_the_layer_that_is_not_vectorized(logged, optimized):
    layers = [
        keras.Input((3, 1, 1)),
        Reflected(name="by_mirror"),
        keras.layers.Flatten(),
        keras.layers.Dense(1),
    ]
    x = np.random.default_rng(0).normal(size=(4, 3, 1, 1)).astype("float32")
    model = keras_curvature.Sequential(layers)
    with warnings.catch_warnings(record=True) as caught:
        # As a user sees them: each text once.
        warnings.simplefilter("default")
        if optimized:
            model.compile(
                keras_curvature.optimizers.LevenbergMarquardt(), "mse"
            )
            model.fit(x, x[:, 0, 0, :1], epochs=2, verbose=0)
        else:
            per_sample_jacobian(model, x, model.trainable_variables)
    found = [w for w in caught if "by_mirror" in str(w.message)]
    assert len(found) == 1, [str(w.message) for w in found]
    if optimized:
        # Of a Dense layer of 5 inputs.
        assert "7 for a batch" in str(found[0].message)
    assert not [r for r in logged if r.filename == "pfor.py"]


def test_a_function_that_may_take_either_way_warns_once(rng):
    w = tf.Variable([1.0, 2.0])
    x = tf.constant(rng.normal(size=(2, 2)), tf.float32)

    def mirrored(x):
        return tf.pad(x * w, [[0, 0], [0, 0]], "REFLECT")

    @tf.function(autograph=False)
    def jacobian(is_twice):
        def branch(factor):
            return lambda: per_sample_jacobian(
                lambda x: factor * tf.reduce_sum(mirrored(x), 1),
                x,
                [w],
            )[1]

        return tf.cond(is_twice, branch(2.0), branch(1.0))

    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        (rows,) = jacobian(tf.constant(True))
    assert_allclose(rows, 2 * x)
    assert len([w for w in found if "per_sample" in str(w.message)]) == 1


def test_nothing_is_said_where_samples_are_vectorized(logged, recwarn):
    w = tf.Variable([[1.0], [2.0]])
    per_sample_jacobian(lambda x: tf.tanh(x @ w), tf.ones((3, 2)), [w])
    assert not logged
    assert not [w for w in recwarn if "per_sample" in str(w.message)]
