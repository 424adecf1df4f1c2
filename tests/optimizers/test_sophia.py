"""Sophia's Gauss-Newton-Bartlett estimator, and what Sophia refuses."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_curvature
from keras_curvature.autodiff import CurvatureTape
from keras_curvature.optimizers import Sophia
from keras_curvature.optimizers._diagonal.gauss_newton_bartlett import (
    GaussNewtonBartlett,
)
from keras_curvature.optimizers._diagonal.place import Place
from tests.optimizers.diagonal import references
from tests.optimizers.helpers import fit, network, trained
from tests.oracles import flat

SAMPLES, CLASSES = 6, 3
LABELS = np.array([0, 1, 2, 2, 1, 0])
ONE_HOT = np.eye(CLASSES)[LABELS]
BITS = np.array(
    [[0, 1, 1], [1, 0, 0], [1, 1, 1], [0, 0, 0], [1, 0, 1], [0, 1, 0]]
)
WEIGHTS = np.array([0.5, 1, 2, 0, 1.5, 0.25])


def softmax_curvature(f):
    p = np.exp(f) / np.exp(f).sum()
    return np.diag(p) - np.outer(p, p)


def sigmoid_curvature(f):
    p = 1 / (1 + np.exp(-f))
    return np.diag(p * (1 - p)) / len(f)


def squares_curvature(f):
    return 2 * np.eye(len(f)) / len(f)


LOSSES = {
    "categorical": (
        keras.losses.CategoricalCrossentropy,
        ONE_HOT,
        "softmax",
        softmax_curvature,
    ),
    "sparse_categorical": (
        keras.losses.SparseCategoricalCrossentropy,
        LABELS,
        "softmax",
        softmax_curvature,
    ),
    "binary": (
        keras.losses.BinaryCrossentropy,
        BITS,
        "sigmoid",
        sigmoid_curvature,
    ),
    "squares": (
        keras.losses.MeanSquaredError,
        BITS,
        "linear",
        squares_curvature,
    ),
}


def model_and_logits(activation):
    """A network, and the same without its last activation."""
    inputs = keras.Input((3,))
    hidden = keras.layers.Dense(4, "tanh")(inputs)
    logits = keras.layers.Dense(CLASSES)(hidden)
    outputs = keras.layers.Activation(activation)(logits)
    return keras_curvature.Model(inputs, outputs), keras.Model(inputs, logits)


def draws(model, x, y, sample_weight=None, count=2000):
    """Estimates of the diagonal with labels of `count` steps."""
    estimator = GaussNewtonBartlett(seed=3)
    variables = model.trainable_variables

    def estimate(step):
        with CurvatureTape():
            outputs = model(x, training=True)
            model.compute_loss(x, y, outputs, sample_weight)
            compute = estimator.record([], variables, Place(step, batch=step))
            with CurvatureTape.current().stop_recording():
                parts = estimator.combine(compute())
        return tf.concat([tf.reshape(part, [-1]) for part in parts], 0)

    @tf.function
    def estimates():
        return tf.map_fn(
            estimate, tf.range(count), fn_output_signature=tf.float64
        )

    return estimates().numpy()


def exact_diagonal(logits, x, curvature, coefficients):
    """diag Σ c JᵀHJ from the dense Jacobian of the logits."""
    sources = [v.value for v in logits.trainable_variables]
    with tf.GradientTape(persistent=True) as tape:
        f = logits(x)
    jacobian = tape.jacobian(f, sources, experimental_use_pfor=False)
    jacobian = np.concatenate(
        [np.reshape(j, (SAMPLES, CLASSES, -1)) for j in jacobian], -1
    )
    total = 0
    for c, j, row in zip(coefficients, jacobian, f.numpy(), strict=True):
        total = total + c * np.einsum("ia,ij,ja->a", j, curvature(row), j)
    return total


def assert_unbiased(drawn, exact):
    error = np.abs(drawn.mean(0) - exact)
    deviation = drawn.std(0, ddof=1) / len(drawn) ** 0.5
    # One of the 31 weights may be out: by chance, at 3 standard errors, two
    # are once in 300 tests. The seed is fixed.
    assert (error > 3 * deviation + 1e-12).sum() <= 1


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("from_logits", [False, True])
@pytest.mark.parametrize("name", LOSSES)
def test_bartlett_estimate_is_unbiased(
    name, from_logits, weighted, float64, rng
):
    loss, y, activation, curvature = LOSSES[name]
    options = {"from_logits": from_logits} if name != "squares" else {}
    model, logits = model_and_logits("linear" if from_logits else activation)
    model.compile(loss=loss(**options))
    x = tf.constant(rng.normal(size=(SAMPLES, 3)))
    weights = WEIGHTS if weighted else np.ones(SAMPLES)
    drawn = draws(model, x, tf.constant(y), weights if weighted else None)
    exact = exact_diagonal(logits, x, curvature, weights / SAMPLES)
    assert_unbiased(drawn, exact)


def test_bartlett_estimate_of_several_outputs_is_that_of_their_sum(
    float64, rng
):
    inputs = keras.Input((3,))
    hidden = keras.layers.Dense(4, "tanh")(inputs)
    a = keras.layers.Dense(CLASSES)(hidden)
    b = keras.layers.Dense(CLASSES)(hidden)
    model = keras_curvature.Model(inputs, [a, b])
    model.compile(
        loss=["mse", keras.losses.BinaryCrossentropy(from_logits=True)],
        loss_weights=[0.5, 2.0],
    )
    x = tf.constant(rng.normal(size=(SAMPLES, 3)))
    drawn = draws(model, x, [tf.constant(BITS), tf.constant(BITS)])
    parts = [
        exact_diagonal(keras.Model(inputs, f), x, curvature, [c] * SAMPLES)
        for f, curvature, c in (
            (a, squares_curvature, 0.5 / SAMPLES),
            (b, sigmoid_curvature, 2 / SAMPLES),
        )
    ]
    # hidden layer, head of a, head of b
    exact = np.concatenate(
        [parts[0][:16] + parts[1][:16], parts[0][16:], parts[1][16:]]
    )
    assert_unbiased(drawn, exact)


def test_bartlett_leaves_out_ignored_classes_and_masked_steps(float64, rng):
    model, logits = model_and_logits("softmax")
    model.compile(
        loss=keras.losses.SparseCategoricalCrossentropy(ignore_class=2)
    )
    x = tf.constant(rng.normal(size=(SAMPLES, 3)))
    drawn = draws(model, x, tf.constant(LABELS))
    valid = LABELS != 2
    exact = exact_diagonal(logits, x, softmax_curvature, valid / valid.sum())
    assert_unbiased(drawn, exact)


@pytest.mark.parametrize("period", [1, 3])
def test_bias_correction_is_counted_in_updates(period, float64):
    settings = {
        "beta_1": 0.9,
        "beta_2": 0.95,
        "epsilon": 1e-9,
        "rho": 0.6,
        "bias_correction": True,
    }
    scales = np.linspace(0.5, 2, 10)
    optimizer = Sophia(0.1, update_period=period, **settings)
    got, _ = references.path_of(optimizer, scales)
    expected = references.path(
        references.sophia, settings, [[s] for s in scales], period
    )
    np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-12)


def test_no_entry_moves_further_than_the_learning_rate(float64):
    before = network().get_weights()
    model = trained(Sophia(0.125), epochs=1)
    moved = np.abs(flat(model.get_weights()) - flat(before))
    assert moved.max() <= 4 * 0.125 * (1 + 1e-12)
    assert moved.max() > 2 * 0.125


def test_bartlett_on_a_plain_model_names_the_way_out():
    with pytest.raises(RuntimeError, match=r"keras_curvature\.Model"):
        trained(Sophia(estimator="gauss_newton_bartlett"))


@pytest.mark.parametrize(
    "loss, name",
    [
        ("mae", "mean_absolute_error"),
        (keras.losses.Huber(), "huber"),
        (lambda y, outputs: tf.reduce_mean((y - outputs) ** 2, -1), "lambda"),
    ],
)
def test_bartlett_names_a_loss_it_does_not_know(loss, name):
    model = network(keras_curvature.Sequential)
    model.compile(Sophia(estimator="gauss_newton_bartlett"), loss)
    with pytest.raises(ValueError, match=f"`loss` must be one of.*{name}"):
        fit(model)


def test_bartlett_needs_a_compiled_loss():
    class OwnLoss(keras_curvature.Model):
        def __init__(self):
            super().__init__()
            self.network = network()

        def call(self, x):
            outputs = self.network(x)
            self.add_loss(tf.reduce_mean(outputs**2))
            return outputs

    model = OwnLoss()
    model.compile(Sophia(estimator="gauss_newton_bartlett"))
    with pytest.raises(ValueError, match=r"`loss` must be given to compile"):
        fit(model)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"rho": 0}, "`rho` must be a finite number > 0"),
        ({"rho": float("nan")}, "`rho` .*nan"),
        ({"estimator": "fisher"}, "`estimator` must be one of .*'fisher'"),
        ({"update_period": 0}, "`update_period` must be an integer ≥ 1"),
        ({"bias_correction": None}, "`bias_correction` must be a bool"),
        ({"epsilon": -1e-3}, "`epsilon` must be .* ≥ 0"),
    ],
)
def test_arguments_that_break_their_rule_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Sophia(**arguments)


def test_a_negative_sample_weight_is_named_where_it_skips_steps():
    model = keras_curvature.Sequential(
        [keras.Input((2,)), keras.layers.Dense(1)]
    )
    model.compile(Sophia(estimator="gauss_newton_bartlett"), "mse")
    x, weights = np.ones((4, 2)), np.array([1.0, 1.0, -1.0, 1.0])
    with pytest.warns(UserWarning, match="negative `sample_weight`"):
        model.fit(x, x[:, :1], sample_weight=weights, verbose=0)
    assert model.optimizer.skipped_steps == 1
    model.compile(Sophia(), "mse")
    model.fit(x, x[:, :1], sample_weight=weights, verbose=0)
    assert model.optimizer.skipped_steps == 0
