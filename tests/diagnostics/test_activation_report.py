"""What activations do to the gradient, beside NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_curvature.diagnostics import activation_report
from keras_curvature.layers import Mish, Tanh

layers = keras.layers
SAMPLES = 10


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


@pytest.fixture
def deep(float64):
    """Two hidden layers, of tanh and of the sigmoid."""
    model = keras.Sequential(
        [
            keras.Input((3,)),
            layers.Dense(4, "tanh", name="first"),
            layers.Dense(5, name="linear"),
            layers.Activation("sigmoid", name="second"),
            layers.Dense(2, name="out"),
        ]
    )
    random = np.random.default_rng(0)
    for variable in model.trainable_variables:
        variable.assign(2 * random.normal(size=variable.shape))
    x, y = random.normal(size=(SAMPLES, 3)), random.normal(size=(SAMPLES, 2))
    return model, x, y


def backpropagated(model, x, y):
    """z, ∂ℓ/∂f(z) and ∂ℓ/∂z of both layers, ℓ the loss of a sample."""
    a, b, c, d, e, f = (np.asarray(v) for v in model.trainable_variables)
    first = x @ a + b
    second = np.tanh(first) @ c + d
    error = 2 * (sigmoid(second) @ e + f - y) / y.shape[1]
    after = error @ e.T
    before = after * sigmoid(second) * sigmoid(-second)
    deeper = before @ c.T
    return {
        "second": (second, after, before),
        "first": (first, deeper, deeper * (1 - np.tanh(first) ** 2)),
    }


def root_mean_square(gradients):
    return np.sqrt(np.mean(np.sum(gradients**2, 1)))


@pytest.mark.parametrize("batch_size", [256, 4])
def test_derivatives_and_gradients_are_those_by_hand(deep, batch_size):
    model, x, y = deep
    report = activation_report(
        model, x, y, loss="mse", saturation=0.1, batch_size=batch_size
    )
    assert [a.name for a in report.activations] == ["first", "second"]
    assert [a.function for a in report.activations] == ["tanh", "sigmoid"]
    exact = backpropagated(model, x, y)
    t, s = np.tanh(exact["first"][0]), sigmoid(exact["second"][0])
    slopes = {"first": 1 - t**2, "second": s * (1 - s)}
    bends = {"first": -2 * t * (1 - t**2), "second": s * (1 - s) * (1 - 2 * s)}
    for name, (_, after, before) in exact.items():
        found = report[name]
        close = np.testing.assert_allclose
        close(found.mean_first, slopes[name].mean())
        close(found.mean_second, np.abs(bends[name]).mean())
        close(found.gradient_norm, root_mean_square(after))
        close(found.passed_norm, root_mean_square(before))
        close(found.passed, root_mean_square(before) / root_mean_square(after))
        saturated = slopes[name] < 0.1
        assert 0 < found.saturated < 1
        close(found.saturated, saturated.mean())
        close(found.dead, saturated.all(0).mean())
        assert found.units == saturated.shape[1]
    assert report.narrowest.name == min(exact, key=lambda n: report[n].passed)
    assert report.samples == SAMPLES


def test_the_table_marks_what_passes_least(deep):
    report = activation_report(*deep, loss="mse")
    lines = str(report).splitlines()
    marked = [line for line in lines if line.endswith("<-")]
    assert len(marked) == 1
    assert marked[0].startswith(report.narrowest.name)
    assert report.narrowest.name in lines[-1]


def test_dead_units_pass_no_gradient(float64):
    model = keras.Sequential(
        [
            keras.Input((6, 1)),
            layers.Conv1D(4, 2, activation="relu"),
            layers.Flatten(),
            layers.Dense(1),
        ]
    )
    model.layers[0].bias.assign([-100.0, 0.0, 0.0, -100.0])
    x = np.random.default_rng(0).normal(size=(SAMPLES, 6, 1))
    (relu,) = activation_report(model, x, x[:, 0], loss="mse").activations
    assert relu.units == 4
    assert relu.dead == 0.5
    assert 0.5 < relu.saturated < 1
    assert relu.mean_second == 0
    np.testing.assert_allclose(relu.mean_first, 1 - relu.saturated)


def test_of_a_residual_block_only_the_activation_counts(float64):
    inputs = keras.Input((2,))
    z = layers.Dense(2)(inputs)
    model = keras.Model(inputs, layers.Add()([z, Tanh(name="tanh")(z)]))
    x = np.random.default_rng(0).normal(size=(SAMPLES, 2))
    y = 1 - x
    found = activation_report(model, x, y, loss="mse")["tanh"]
    z = model.layers[1](x).numpy()
    error = z + np.tanh(z) - y
    passed = root_mean_square(error * (1 - np.tanh(z) ** 2))
    np.testing.assert_allclose(found.gradient_norm, root_mean_square(error))
    np.testing.assert_allclose(found.passed_norm, passed)


class Subclassed(keras.Model):
    def __init__(self, inline):
        super().__init__()
        self.first = layers.Dense(2, "tanh", name="first")
        self.out = layers.Dense(1, name="out")
        self.inline = inline

    def call(self, x):
        hidden = tf.nn.softplus(x) if self.inline else self.first(x)
        return self.out(hidden)


def test_a_subclassed_model_is_served_by_its_layers():
    x = np.ones((3, 2), "float32")
    report = activation_report(Subclassed(False), x, x[:, :1], loss="mse")
    assert report["first"].function == "tanh"
    assert not report.notes


def test_a_function_without_a_layer_is_refused_with_the_way_out():
    x = np.ones((3, 2), "float32")
    with pytest.raises(ValueError, match=r"Softplus.*keras\.layers"):
        activation_report(Subclassed(True), x, x[:, :1], loss="mse")


def test_every_kind_of_layer_is_looked_at():
    model = keras.Sequential(
        [
            keras.Input((2,)),
            layers.Dense(2, "softsign", name="a"),
            layers.Dense(2, Tanh(), name="b"),
            layers.ReLU(name="c"),
            layers.LeakyReLU(name="d"),
            layers.ELU(name="e"),
            layers.Activation("gelu", name="f"),
            Mish(name="g"),
            layers.PReLU(name="h"),
            layers.Reshape((2, 1)),
            layers.SimpleRNN(2, name="i"),
            layers.Dense(2, "softmax", name="j"),
        ]
    )
    x = np.random.default_rng(0).normal(size=(4, 2)).astype("float32")
    before = [dict(layer.__dict__) for layer in model.layers]
    report = activation_report(
        model, x, np.ones((4,)), loss="sparse_categorical_crossentropy"
    )
    assert [a.name for a in report.activations] == list("abcdefg")
    assert [a.function for a in report.activations] == [
        *("softsign", "Tanh", "ReLU", "LeakyReLU", "ELU", "gelu", "Mish")
    ]
    assert len(report.notes) == 3
    assert "simple_rnn_cell is applied inside" in str(report)
    assert "no layer holds" not in str(report)
    after = [dict(layer.__dict__) for layer in model.layers]
    for old, new in zip(before, after, strict=True):
        assert old.get("activation") is new.get("activation")
        assert "call" not in new


def test_a_layer_called_twice_is_counted_twice(float64):
    inputs = keras.Input((2,))
    layer = layers.Dense(2, "tanh", name="shared")
    model = keras.Model(inputs, layer(layer(inputs)))
    x = np.random.default_rng(0).normal(size=(SAMPLES, 2))
    report = activation_report(model, x, x, loss="mse")
    once = np.tanh(x @ layer.kernel.numpy())
    twice = once @ layer.kernel.numpy()
    np.testing.assert_allclose(
        report["shared"].mean_first, 1 - (once**2).mean()
    )
    np.testing.assert_allclose(
        report["shared (2)"].mean_first, 1 - (np.tanh(twice) ** 2).mean()
    )


def test_a_sigmoid_that_the_loss_looks_through_has_no_share():
    model = keras.Sequential([keras.Input((2,)), layers.Dense(1, "sigmoid")])
    x = np.random.default_rng(0).normal(size=(SAMPLES, 2)).astype("float32")
    y = (x[:, :1] > 0) * 1.0
    report = activation_report(model, x, y, loss="binary_crossentropy")
    (found,) = report.activations
    assert found.gradient_norm is None and found.passed is None
    error = model(x).numpy() - y
    np.testing.assert_allclose(
        found.passed_norm, root_mean_square(error), rtol=1e-5
    )
    assert report.narrowest is None


def test_bad_input_is_refused():
    linear = keras.Sequential([keras.Input((2,)), layers.Dense(1)])
    x = np.ones((3, 2), "float32")
    with pytest.raises(ValueError, match="`model` must apply an elementwise"):
        activation_report(linear, x, x[:, :1], loss="mse")
    with pytest.raises(ValueError, match="`saturation` must be"):
        activation_report(linear, x, x[:, :1], loss="mse", saturation=-1.0)
    model = keras.Sequential([keras.Input((2,)), layers.Dense(1, "tanh")])
    report = activation_report(model, x, x[:, :1], loss="mse")
    with pytest.raises(KeyError, match="'dens' is none of dense"):
        report["dens"]
    model.layers[0].kernel.assign([[np.nan], [0.0]])
    with pytest.raises(ValueError, match="must be finite"):
        activation_report(model, x, x[:, :1], loss="mse")
