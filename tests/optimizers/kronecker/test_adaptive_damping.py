"""Damping by Levenberg's rule, against the quadratic model in NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.testing import assert_allclose, assert_array_equal

import keras_curvature
from keras_curvature.optimizers import KFAC
from keras_curvature.optimizers._kronecker.adaptive_damping import levenberg
from tests.optimizers.helpers import fit, weights
from tests.optimizers.kronecker.helpers import (
    CLASSES,
    LABELS,
    TARGETS,
    N,
    X,
    crossentropy,
)
from tests.oracles import flat

L = keras.layers


def network(layers=list, model_class=keras_curvature.Sequential):
    keras.utils.set_random_seed(1)
    return model_class([keras.Input((4,)), *layers(), L.Dense(CLASSES)])


def hidden():
    return [L.Dense(5, "tanh")]


def optimizer(rate=0.3, **options):
    plain = {"update_period": 1, "damping_period": 1, "damping": 0.1}
    return KFAC(rate, adaptive_damping=True, **plain | options)


def forward(parameters, x):
    w, b, v, c = parameters
    hidden = np.tanh(x @ w + b)
    return hidden, hidden @ v + c


def loss(logits, y):
    shifted = logits - logits.max(1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    return -np.mean(log_p[np.arange(len(y)), y]), np.exp(log_p)


def ratio_by_hand(before, after, x, y):
    """ρ of tanh units under a softmax, with J·δ from the chain rule."""
    dw, db, dv, dc = (a - b for a, b in zip(after, before, strict=True))
    hidden, logits = forward(before, x)
    value, p = loss(logits, y)
    moved = (1 - hidden**2) * (x @ dw + db) @ before[2] + hidden @ dv + dc
    slope = np.mean(np.sum((p - np.eye(CLASSES)[y]) * moved, 1))
    mean = np.sum(p * moved, 1)
    curved = np.mean(np.sum(p * moved**2, 1) - mean**2)
    actual = loss(forward(after, x)[1], y)[0] - value
    predicted = slope + curved / 2
    if predicted >= 0:
        return -1 if actual > 0 else None
    return actual / predicted


@pytest.mark.parametrize("jit", [False, True], ids=["plain", "jit"])
def test_the_ratio_and_the_rule_are_those_of_numpy(jit, float64):
    """Every second step of eight, of changing batches."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(8, N, 4)), rng.integers(0, CLASSES, (8, N))
    model = network(hidden)
    own = optimizer(
        0.8,
        damping_period=2,
        damping_decay=0.8,
        kl_bound=0.5,
        damping=0.01,
        momentum=0.5,
    )
    model.compile(own, crossentropy(), jit_compile=jit)
    damping, ratio, ratios = 0.01, 1.0, []
    for number, (batch, labels) in enumerate(zip(x, y, strict=True), 1):
        before = model.get_weights()
        fit(model, 1, batch, labels, batch_size=N)
        by_hand = ratio_by_hand(before, model.get_weights(), batch, labels)
        if number % 2 == 0 and by_hand is not None:
            ratio = by_hand
            ratios.append(ratio)
            damping *= 0.64 if ratio > 0.75 else 1
            damping /= 0.64 if ratio < 0.25 else 1
        assert_allclose(own.reduction_ratio.numpy(), ratio, rtol=1e-8)
        assert_allclose(own.current_damping.numpy(), damping, rtol=1e-12)
    assert len(ratios) > 2 and min(ratios) < 0.75 < max(ratios)


def test_damping_falls_to_its_bound_on_a_quadratic(float64):
    """The model of a linear map's squares is exact."""
    model = network()
    own = optimizer(damping_bounds=(0.08, 1.0), damping_decay=0.9)
    model.compile(own, "mse")
    found = []
    for _ in range(3):
        fit(model, 1, X, TARGETS, batch_size=N)
        found.append(own.current_damping.numpy())
        assert_allclose(own.reduction_ratio.numpy(), 1, rtol=1e-9)
    assert_allclose(found, [0.09, 0.081, 0.08], rtol=1e-12)


def test_damping_rises_to_its_bound_where_the_model_is_bad(float64):
    """Of exp it sees no more than slope and curvature."""
    model = network(lambda: [L.Dense(CLASSES, "exponential")])
    own = optimizer(
        3.0,
        momentum=0.0,
        kl_bound=None,
        damping=1e-3,
        damping_decay=0.6,
        damping_bounds=(1e-4, 2e-3),
    )
    model.compile(own, "mse")
    for expected in (1e-3 / 0.6, 2e-3):
        fit(model, 1, X, TARGETS, batch_size=N)
        assert own.reduction_ratio < 0.25
        assert_allclose(own.current_damping.numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize(
    "ratio, expected",
    [
        (0.76, 0.05),
        (0.75, 0.1),
        (0.25, 0.1),
        (0.24, 0.2),
        (-1.0, 0.2),
        (np.nan, 0.2),
        (-np.inf, 0.2),
    ],
)
def test_the_rule_on_both_sides_of_its_bounds(ratio, expected):
    damping, ratio = tf.constant([0.1, ratio], tf.float64)
    new = levenberg(damping, ratio, 0.5, (0.01, 1.0))
    assert_allclose(new, expected, rtol=1e-12)
    assert_allclose(levenberg(damping, ratio, 0.5, (0.1, 0.1)), 0.1)


def test_a_step_that_says_nothing_and_one_that_is_no_number(float64):
    model = network()
    own = optimizer(damping_decay=0.5)
    model.compile(own, "mse")
    y = model.predict(X, verbose=0)
    fit(model, 1, X, y, batch_size=N)
    assert_allclose(own.current_damping.numpy(), 0.1, rtol=1e-15)
    assert own.reduction_ratio == 1
    y[0] = np.nan
    before = weights(model)
    with pytest.warns(UserWarning, match="1 steps were skipped"):
        fit(model, 1, X, y, batch_size=N)
    assert_array_equal(weights(model), before)
    assert_allclose(own.current_damping.numpy(), 0.2, rtol=1e-12)


def test_a_judgment_leaves_the_model_and_its_statistics_alone(float64):
    """Bounds that allow no change leave K-FAC with its damping."""
    reached = []
    for options in ({}, {"adaptive_damping": True}):
        model = network(lambda: [L.Dense(5), L.BatchNormalization()])
        own = KFAC(0.3, damping=0.1, damping_bounds=(0.1, 0.1), **options)
        model.compile(own, "mse")
        fit(model, 6, X, TARGETS, batch_size=N)
        reached.append(weights(model))
    assert_array_equal(*reached)


def test_a_saved_model_resumes_bit_for_bit(tmp_path):
    whole = network(hidden)
    options = {"update_period": 2, "damping_period": 3}
    whole.compile(optimizer(**options), crossentropy())
    fit(whole, 2, X, LABELS, batch_size=2)
    whole.save(tmp_path / "model.keras")
    fit(whole, 2, X, LABELS, batch_size=2)
    resumed = keras.saving.load_model(tmp_path / "model.keras")
    assert resumed.optimizer.get_config() == whole.optimizer.get_config()
    fit(resumed, 2, X, LABELS, batch_size=2)
    assert_array_equal(weights(resumed), weights(whole))
    assert_array_equal(
        flat(resumed.optimizer.variables), flat(whole.optimizer.variables)
    )
    assert whole.optimizer.current_damping != 0.1


def test_what_cannot_compare_two_losses_is_refused():
    with pytest.raises(ValueError, match="larger batch_size"):
        optimizer(gradient_accumulation_steps=2)
    plain = network(model_class=keras.Sequential)
    plain.compile(optimizer(), "mse")
    with pytest.raises(RuntimeError, match=r"keras_curvature\.Model"):
        fit(plain, 1, X, TARGETS)
    random = network(lambda: [L.Dropout(0.5)])
    random.compile(optimizer(), "mse")
    with pytest.raises(ValueError, match="draws random numbers"):
        fit(random, 1, X, TARGETS)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision_is_refused(policy):
    keras.config.set_dtype_policy(policy)
    model = network()
    model.compile(optimizer(), "mse")
    with pytest.raises(ValueError, match="dtype policy 'float32'"):
        fit(model, 1, X, TARGETS)


def test_replicas_are_refused(mirrored_strategy):
    with mirrored_strategy.scope():
        model = network()
        model.compile(optimizer(), "mse")
    with pytest.raises(ValueError, match="2 replicas"):
        fit(model, 1, X, TARGETS)


@pytest.mark.parametrize(
    "argument, value, rule",
    [
        ("adaptive_damping", 1, "bool"),
        ("damping_period", 0, "≥ 1"),
        ("damping_decay", 1.0, "< 1"),
        ("damping_bounds", (1.0, 0.1), "lower one"),
        ("damping_bounds", 0.1, "pair"),
        ("damping_bounds", (0.0, 0.1), "> 0"),
        ("damping", 2.0, "≤ 1"),
    ],
    ids=str,
)
def test_an_argument_that_breaks_its_rule_is_refused(argument, value, rule):
    with pytest.raises(ValueError, match=rule) as refusal:
        KFAC(**{"adaptive_damping": True, argument: value})
    assert argument in str(refusal.value)
