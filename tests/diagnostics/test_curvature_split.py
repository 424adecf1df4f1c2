"""The parts of the Hessian, beside matrices written out by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_curvature.diagnostics import curvature_parts, curvature_split
from keras_curvature.layers import Sigmoid
from tests.oracles import dense_hessian

layers = keras.layers
SAMPLES, INPUTS, UNITS = 9, 2, 3
BLOCKS = (slice(0, 9), slice(9, 13))
PARTS = ("hessian", "gauss_newton", "activations", "rest")


def network(activation, units=UNITS):
    model = keras.Sequential(
        [
            keras.Input((INPUTS,)),
            layers.Dense(units, activation, name="hidden"),
            layers.Dense(1, name="out"),
        ]
    )
    random = np.random.default_rng(3)
    for variable in model.trainable_variables:
        variable.assign(random.normal(size=variable.shape))
    return model


def data():
    random = np.random.default_rng(0)
    return random.normal(size=(SAMPLES, INPUTS)), random.normal(
        size=(SAMPLES, 1)
    )


def by_hand(model, x, y, f, first, second):
    """The three parts for o = w·f(W'x + b) + c and the mean of (o − y)²."""
    kernel, bias, w, c = (np.asarray(v) for v in model.trainable_variables)
    z = x @ kernel + bias
    residual = (f(z) @ w + c - y)[:, 0]
    hidden, size = kernel.size + bias.size, kernel.size + 2 * bias.size + 1
    parts = np.zeros((3, size, size))
    for n in range(len(x)):
        one = np.append(x[n], 1.0)
        # Row i of the kernel holds the weights of input i, then the biases.
        index = np.arange(hidden).reshape(-1, len(bias))
        jacobian = np.zeros(size)
        jacobian[index] = one[:, None] * (first(z[n]) * w[:, 0])
        jacobian[hidden:] = np.append(f(z[n]), 1.0)
        parts[0] += 2 * np.outer(jacobian, jacobian)
        for k in range(len(bias)):
            own = index[:, k]
            bend = second(z[n, k]) * w[k, 0]
            parts[1][np.ix_(own, own)] += (
                2 * residual[n] * bend * np.outer(one, one)
            )
            shared = 2 * residual[n] * first(z[n, k]) * one
            parts[2][own, hidden + k] += shared
            parts[2][hidden + k, own] += shared
    return parts / len(x)


def tanh_slope(z):
    return 1 - np.tanh(z) ** 2


def tanh_bend(z):
    return -2 * np.tanh(z) * tanh_slope(z)


@pytest.fixture
def tanh(float64):
    model, (x, y) = network("tanh"), data()
    return model, x, y, by_hand(model, x, y, np.tanh, tanh_slope, tanh_bend)


def test_parts_of_a_tanh_network_are_those_by_hand(tanh):
    model, x, y, exact = tanh
    parts = curvature_parts(model, x, y, loss="mse", batch_size=4)
    dense = [part.to_dense().numpy() for part in parts]
    np.testing.assert_allclose(dense[0], exact.sum(0), atol=1e-12)
    for part, expected in zip(dense[1:], exact, strict=True):
        np.testing.assert_allclose(part, expected, atol=1e-12)


def test_traces_and_norms_are_those_of_the_matrices(tanh):
    model, x, y, exact = tanh
    split = curvature_split(model, x, y, loss="mse")
    matrices = dict(zip(PARTS, [exact.sum(0), *exact], strict=True))
    blocks = {"hidden": slice(0, 9), "out": slice(9, 13), "all": slice(None)}
    for row in [*split.layers, split.total]:
        rows = blocks[row.name.split("/")[-1]]
        for part, matrix in matrices.items():
            block = matrix[rows, rows]
            trace, norm = row.traces[part], row.norms[part]
            np.testing.assert_allclose(trace.value, block.trace(), atol=1e-12)
            np.testing.assert_allclose(
                norm.value, np.linalg.norm(block), atol=1e-12
            )
            assert trace.standard_error == norm.standard_error == 0
    assert [row.size for row in split.layers] == [9, 4]
    assert "hidden" in str(split)


def test_a_big_model_has_its_vectors_in_small_blocks(tanh, monkeypatch):
    model, x, y, exact = tanh
    # Two of the 13 rows at once.
    bytes_at_once = "keras_curvature.diagnostics._split_estimates._BYTES"
    monkeypatch.setattr(bytes_at_once, 2 * 8 * 13)
    split = curvature_split(model, x, y, loss="mse")
    for k, part in enumerate(PARTS[1:]):
        for row, rows in zip(split.layers, BLOCKS, strict=True):
            trace = exact[k][rows, rows].trace()
            np.testing.assert_allclose(
                row.traces[part].value, trace, atol=1e-12
            )


def test_random_vectors_come_as_close_as_they_say(tanh):
    model, x, y, exact = tanh
    split = curvature_split(model, x, y, loss="mse", probes=8, seed=1)
    hidden = split.layers[0]
    for k, part in enumerate(PARTS[1:]):
        block = exact[k][:9, :9]
        trace, norm = hidden.traces[part], hidden.norms[part]
        # Of 6 estimates none errs by 5 of 8 terms' standard errors by chance.
        assert abs(trace.value - block.trace()) <= 5 * trace.standard_error
        error = abs(norm.value - np.linalg.norm(block))
        assert error <= 5 * norm.standard_error + 1e-12
    parts = sum(hidden.traces[part].value for part in PARTS[1:])
    np.testing.assert_allclose(parts, hidden.traces["hessian"].value)
    assert hidden.traces["activations"].standard_error > 0


def test_relu_has_no_bend(float64):
    model, (x, y) = network("relu"), data()
    relu = lambda z: np.maximum(z, 0)  # noqa: E731
    exact = by_hand(model, x, y, relu, lambda z: (z > 0) * 1.0, np.zeros_like)
    split = curvature_split(model, x, y, loss="mse")
    for row in split.layers:
        assert row.norms["activations"].value == 0
        assert row.norm_share("rest") < 1e-12
    assert split.total.norms["activations"].value == 0
    np.testing.assert_allclose(
        split.total.norms["rest"].value, np.linalg.norm(exact[2])
    )


def test_a_linear_model_is_all_gauss_newton(float64):
    model = keras.Sequential([keras.Input((INPUTS,)), layers.Dense(1)])
    x, y = data()
    split = curvature_split(model, x, y, loss="mse")
    one = np.column_stack([x, np.ones(SAMPLES)])
    gram = 2 * one.T @ one / SAMPLES
    np.testing.assert_allclose(
        split.total.traces["gauss_newton"].value, gram.trace()
    )
    assert split.total.norm_share("activations") == 0
    assert split.total.norm_share("rest") < 1e-12


def test_a_sigmoid_belongs_to_the_cross_entropy(float64):
    model = keras.Sequential(
        [keras.Input((INPUTS,)), layers.Dense(1), Sigmoid()]
    )
    x, y = data()
    labels = (y > 0) * 1.0
    split = curvature_split(model, x, labels, loss="binary_crossentropy")
    one = np.column_stack([x, np.ones(SAMPLES)])
    p = model(x).numpy()
    exact = one.T @ (p * (1 - p) * one) / SAMPLES
    np.testing.assert_allclose(
        split.total.norms["gauss_newton"].value, np.linalg.norm(exact)
    )
    assert split.total.norms["activations"].value == 0
    assert split.total.norm_share("rest") < 1e-9


def test_a_sigmoid_does_not_belong_to_the_squared_error(float64):
    model = keras.Sequential(
        [keras.Input((INPUTS,)), layers.Dense(1, "sigmoid")]
    )
    x, y = data()
    split = curvature_split(model, x, y, loss="mse")
    one = np.column_stack([x, np.ones(SAMPLES)])
    p = model(x).numpy()
    bend = 2 * (p - y) * p * (1 - p) * (1 - 2 * p)
    exact = one.T @ (bend * one) / SAMPLES
    np.testing.assert_allclose(
        split.total.norms["activations"].value, np.linalg.norm(exact)
    )
    assert split.total.norm_share("rest") < 1e-12


def straightened(f):
    """f with the derivative f′ and no second one, by plain TensorFlow."""

    def apply(z):
        with tf.GradientTape() as tape:
            tape.watch(z)
            value = f(z)
        slope = tf.stop_gradient(tape.gradient(value, z))
        return tf.stop_gradient(value) + slope * (z - tf.stop_gradient(z))

    return apply


def branched(change):
    """With a skipped connection and a layer that is used twice."""
    inputs = keras.Input((3,))
    first = layers.Dense(2, activation=change(tf.tanh))(inputs)
    second = layers.Activation(change(tf.nn.silu))(first)
    shared = layers.Dense(2, activation=change(tf.nn.softplus))
    return keras.Model(inputs, layers.Add()([shared(shared(second)), first]))


def test_without_bends_is_the_hessian_of_a_straightened_model(float64):
    model, straight = branched(lambda f: f), branched(straightened)
    straight.set_weights(model.get_weights())
    random = np.random.default_rng(2)
    x, y = random.normal(size=(5, 3)), random.normal(size=(5, 2))
    parts = curvature_parts(model, x, y, loss="mse", batch_size=3)

    def loss():
        error = straight(tf.constant(x), training=False) - y
        return tf.reduce_mean(error**2)

    without = dense_hessian(loss, straight.trainable_variables)
    expected = parts.hessian.to_dense().numpy() - without
    np.testing.assert_allclose(
        parts.activations.to_dense(), expected, atol=1e-12
    )
    assert np.abs(expected).max() > 1e-3


def test_bad_arguments_are_refused_by_name(float64):
    model, (x, y) = network("tanh"), data()
    with pytest.raises(ValueError, match="`probes` must be an integer ≥ 2"):
        curvature_split(model, x, y, loss="mse", probes=1)
    with pytest.raises(ValueError, match="`layers` must hold"):
        curvature_split(model, x, y, loss="mse", layers="none")


def test_what_is_not_looked_at_is_said():
    model = keras.Sequential([keras.Input((2,)), layers.Dense(2, "softmax")])
    split = curvature_split(
        model, np.ones((2, 2)), np.ones((2, 2)), loss="mse", probes=2
    )
    assert "Note: the activation of dense is not elementwise" in str(split)
