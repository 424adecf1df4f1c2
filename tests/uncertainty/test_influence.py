"""Influence against training without the sample, and closed forms."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

import keras_curvature
from keras_curvature.optimizers import LBFGS
from keras_curvature.uncertainty import influence, self_influence

PENALTY = 0.01


def softmax(logits):
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def gradients(w, x, labels):
    """Of the loss of each sample, of shape (samples, weights)."""
    error = softmax(x @ w) - np.eye(w.shape[1])[labels]
    return np.einsum("bi,bj->bij", x, error).reshape(len(x), -1)


def hessian(w, x):
    p = softmax(x @ w)
    inner = np.einsum("bi,ij->bij", p, np.eye(p.shape[1])) - (
        p[:, :, None] * p[:, None]
    )
    matrix = np.einsum("bi,bjk,bl->ijlk", x, inner, x) / len(x)
    return matrix.reshape(w.size, w.size) + 2 * PENALTY * np.eye(w.size)


def trained(x, labels, classes=3):
    """The softmax regression's weights, by Newton's method."""
    w = np.zeros((x.shape[1], classes))
    for _ in range(30):
        gradient = gradients(w, x, labels).mean(0) + 2 * PENALTY * w.ravel()
        w = w - np.linalg.solve(hessian(w, x), gradient).reshape(w.shape)
    return w


@pytest.fixture(scope="module")
def regression():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 3))
    labels = (x @ rng.normal(size=(3, 3)) + rng.normal(size=(40, 3))).argmax(1)
    test = rng.normal(size=(20, 3)), rng.integers(0, 3, 20)
    return x, labels, *test, trained(x, labels)


def model_of(w):
    model = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(
                3,
                use_bias=False,
                kernel_regularizer=keras.regularizers.L2(PENALTY),
            ),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(loss=loss)
    model.set_weights([w])
    return model


@pytest.mark.parametrize("each", [False, True])
def test_influence_is_the_closed_form(each, regression, float64):
    x, labels, test_x, test_labels, w = regression
    tests = gradients(w, test_x, test_labels)
    expected = gradients(w, x, labels) @ np.linalg.solve(hessian(w, x), tests.T)
    expected /= len(x)
    found = influence(
        model_of(w),
        x,
        labels,
        test_x,
        test_labels,
        damping=2 * PENALTY,
        each=each,
        batch_size=7,
        tolerance=1e-12,
    )
    expected = expected if each else expected.mean(1)
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_influence_by_the_hessian_counts_the_regularizers(regression, float64):
    x, labels, test_x, test_labels, w = regression
    tests = gradients(w, test_x, test_labels).mean(0)
    expected = gradients(w, x, labels) @ np.linalg.solve(hessian(w, x), tests)
    found = influence(
        model_of(w),
        x,
        labels,
        test_x,
        test_labels,
        damping=0.0,
        curvature="hessian",
        batch_size=7,
        tolerance=1e-12,
    )
    np.testing.assert_allclose(found, expected / 40, atol=1e-9)


def test_a_hessian_that_is_indefinite_is_named(float64):
    """The loss (u·v·x − y)² has a saddle at u = v = 0."""
    model = keras.Sequential(
        [
            keras.Input((1,)),
            keras.layers.Dense(1, use_bias=False),
            keras.layers.Dense(1, use_bias=False),
        ]
    )
    model.compile(loss="mse")
    # Beside it, so that gradients are not all zero.
    model.set_weights([np.full((1, 1), 0.1), np.full((1, 1), -0.2)])
    x = np.linspace(-1, 1, 9)[:, None]
    with pytest.raises(ValueError, match="as the Hessian is at a minimum"):
        influence(model, x, x, x, x, damping=0.0, curvature="hessian")
    # More than the eigenvalue below zero.
    found = influence(model, x, x, x, x, damping=5.0, curvature="hessian")
    u, v = 0.1, -0.2
    squares = np.mean(x**2)
    rows = 2 * (u * v - 1) * x**2 * [v, u]
    exact = 2 * squares * np.array(
        [[v * v, 2 * u * v - 1], [2 * u * v - 1, u * u]]
    ) + 5 * np.eye(2)
    np.testing.assert_allclose(
        found, rows @ np.linalg.solve(exact, rows.mean(0)) / 9, rtol=1e-7
    )


def test_influence_ranks_samples_as_training_without_them(regression, float64):
    x, labels, test_x, test_labels, w = regression

    def loss(w):
        p = softmax(test_x @ w)
        return -np.log(p[range(20), test_labels]).mean()

    changes = [
        loss(trained(np.delete(x, k, 0), np.delete(labels, k))) - loss(w)
        for k in range(40)
    ]
    found = influence(
        model_of(w), x, labels, test_x, test_labels, damping=2 * PENALTY
    )
    assert stats.spearmanr(found, changes).statistic >= 0.95
    # In size as well: to first order in 1/40.
    slope = np.polyfit(found, changes, 1)[0]
    assert 0.8 < slope < 1.3


@pytest.mark.parametrize("structure", ["full", "low_rank"])
def test_self_influence_is_the_closed_form(structure, regression, float64):
    x, labels, _, _, w = regression
    rows = gradients(w, x, labels)
    solved = np.linalg.solve(hessian(w, x), rows.T)
    found = self_influence(
        model_of(w),
        x,
        labels,
        damping=2 * PENALTY,
        structure=structure,
        batch_size=16,
    )
    np.testing.assert_allclose(found, np.sum(rows * solved.T, 1), rtol=1e-7)


def test_influence_in_a_network_ranks_samples_as_training_does(float64, rng):
    x = rng.uniform(-2, 2, (24, 1))
    y = np.sin(2 * x) + 0.3 * rng.normal(size=x.shape)
    test_x = np.linspace(-2, 2, 30)[:, None]
    test_y = np.sin(2 * test_x)
    penalty = keras.regularizers.L2(3e-3)
    options = {"kernel_regularizer": penalty, "bias_regularizer": penalty}
    model = keras_curvature.Sequential(
        [
            keras.Input((1,)),
            keras.layers.Dense(4, activation="tanh", **options),
            keras.layers.Dense(1, **options),
        ]
    )
    model.compile(LBFGS(), "mse", jit_compile=False)

    def trained_loss(sample_weight):
        result = keras_curvature.solve(
            model, x, y, sample_weight, max_steps=2000, verbose=0
        )
        assert result.converged
        return float(np.mean((model(test_x).numpy() - test_y) ** 2))

    plain = trained_loss(np.ones(24))
    weights = model.get_weights()
    found = influence(model, x, y, test_x, test_y, damping=6e-3)
    changes = []
    for k in range(24):
        model.set_weights(weights)
        # The mean over the others.
        without = np.where(np.arange(24) == k, 0.0, 24 / 23)
        changes.append(trained_loss(without) - plain)
    assert stats.spearmanr(found, changes).statistic >= 0.8


def test_targets_are_not_repeated_for_each_output(float64, rng):
    x = rng.normal(size=(6, 2))
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    model.compile(loss="mse")
    for y, test_y in ((x[:, :1], x), (x, x[:, :1])):
        with pytest.raises(ValueError, match="a target for each output"):
            influence(model, x, y, x, test_y, damping=1.0)


@pytest.mark.parametrize("case", ["empty", "shorter", "data set"])
def test_other_data_than_arrays_of_one_length_are_named(
    case, regression, float64
):
    x, labels, test_x, test_labels, w = regression
    data = (x, labels, test_x, test_labels)
    if case == "empty":
        data = (x, labels, test_x[:0], test_labels[:0])
    elif case == "shorter":
        data = (x, labels, test_x, test_labels[:3])
    else:
        rows = tf.data.Dataset.from_tensors((x, labels))
        data = (rows, None, test_x, test_labels)
    with pytest.raises(ValueError, match="a row for each sample"):
        influence(model_of(w), *data, damping=2 * PENALTY)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"damping": 0.0}, "damping"),
        ({"damping": 1.0, "structure": "kfac"}, "structure"),
    ],
)
def test_mistakes_are_named(options, message, regression, float64):
    x, labels, _, _, w = regression
    with pytest.raises(ValueError, match=message):
        self_influence(model_of(w), x, labels, **options)
