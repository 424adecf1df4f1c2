"""New weights and state are finite, or nothing changes."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_curvature
from keras_curvature.optimizers import AdaHessian, SecondOrderGradient, Sophia
from tests.optimizers.helpers import X, Y, fit, network, weights

WAYS = {
    "graph": (keras.Sequential, {}),
    "jit": (keras.Sequential, {"jit_compile": True}),
    "eager": (keras_curvature.Sequential, {"run_eagerly": True}),
}
BIG = 1e19  # H·g is a float32, the square of g beyond it is none


def everything(optimizer, variables):
    """All numbers but the count of what was left out."""
    return [
        keras.ops.convert_to_numpy(v)
        for v in [*variables, *optimizer.variables]
        if "skipped_steps" not in v.path
    ]


def stepper(optimizer, w):
    """A step with L = scale · ½ Σ w², whose H·g is scale² · w."""
    optimizer.build([w])

    @tf.function
    def step(scale):
        with tf.GradientTape() as tape:
            loss = scale * tf.reduce_sum(w.value**2) / 2
        optimizer.apply(tape.gradient(loss, [w.value]), [w])

    return lambda scale: step(tf.constant(scale, w.dtype))


@pytest.mark.parametrize("way", WAYS)
def test_an_inner_state_that_overflows_leaves_everything_as_it_was(way):
    # g and H·g are finite, the square of g + H·g in Adam's state is not.
    model_class, options = WAYS[way]
    model = network(model_class)
    optimizer = SecondOrderGradient("adam", curvature_weight=1e-12)
    model.compile(optimizer, "mse", **options)
    fit(model, x=X[:12], y=Y[:12])
    before = everything(optimizer, model.variables)
    with pytest.warns(UserWarning, match="1 steps were skipped"):
        fit(model, x=X[:6], y=1e17 * Y[:6])
    after = everything(optimizer, model.variables)
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(new, old)
    assert optimizer.skipped_steps == 1
    fit(model, x=X[12:], y=Y[12:])
    assert optimizer.iterations == 4


INNER = {
    "momentum": lambda: keras.optimizers.SGD(1e25, momentum=0.9),
    "rmsprop": lambda: keras.optimizers.RMSprop(1e-3),
    "adam": lambda: keras.optimizers.Adam(1e-3, amsgrad=True),
    "average": lambda: keras.optimizers.SGD(1e25, use_ema=True),
    "average, overwriting": lambda: keras.optimizers.SGD(
        1e25, use_ema=True, ema_overwrite_frequency=1
    ),
    "decay": lambda: keras.optimizers.SGD(1e38, weight_decay=1e38),
}


@pytest.mark.parametrize("inner", INNER)
def test_a_huge_direction_spoils_no_inner_optimizer(inner):
    w = keras.Variable([1.0, -2.0])
    optimizer = SecondOrderGradient(INNER[inner](), curvature_weight=1e-35)
    step = stepper(optimizer, w)
    before = everything(optimizer, [w])
    step(BIG)
    after = everything(optimizer, [w])
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(new, old)
    assert optimizer.skipped_steps == 1


def test_a_clipped_direction_may_be_huge_but_not_infinite():
    w = keras.Variable([1.0, -2.0])
    optimizer = SecondOrderGradient(
        keras.optimizers.SGD(0.5, clipvalue=0.25), curvature_weight=1e-35
    )
    step = stepper(optimizer, w)
    step(BIG)
    np.testing.assert_array_equal(w, [0.875, -1.875])
    step(np.inf)
    np.testing.assert_array_equal(w, [0.875, -1.875])
    assert optimizer.skipped_steps == 1


DIAGONAL = {
    "adahessian": lambda **options: AdaHessian(1e38, **options),
    "adahessian, average": lambda **options: AdaHessian(
        1e38, use_ema=True, **options
    ),
    "sophia": lambda **options: Sophia(3e38, update_period=1, **options),
}


@pytest.mark.parametrize("accumulate", [None, 2])
@pytest.mark.parametrize("name", DIAGONAL)
def test_new_weights_that_overflow_are_not_taken(name, accumulate):
    w = keras.Variable([2e38, -2e38])
    optimizer = DIAGONAL[name](gradient_accumulation_steps=accumulate)
    step = stepper(optimizer, w)
    # The gradient is finite; downhill lie larger weights.
    steps = accumulate or 1
    for _ in range(steps - 1):
        step(-1e-37)
    before = everything(optimizer, [w])
    step(-1e-37)
    after = everything(optimizer, [w])
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(new, old)
    assert optimizer.skipped_steps == 1


def test_replicas_undo_a_step_alike(mirrored_strategy):
    with mirrored_strategy.scope():
        model = network()
        optimizer = SecondOrderGradient("adam", curvature_weight=1e-12)
        model.compile(optimizer, "mse")
    fit(model, x=X[:12], y=Y[:12])
    before = everything(optimizer, model.variables)
    with pytest.warns(UserWarning, match="1 steps were skipped"):
        fit(model, x=X[:6], y=1e17 * Y[:6])
    after = everything(optimizer, model.variables)
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(new, old)


def test_float16_state_that_overflows_is_not_taken():
    # The square of g + c·H·g = 600 is beyond float16's largest number, 65504.
    w = keras.Variable([1.0, -0.5], dtype="float16")
    inner = keras.optimizers.RMSprop(1e-3, rho=0.0)
    optimizer = SecondOrderGradient(inner, curvature_weight=1e-2)
    step = stepper(optimizer, w)
    step(200.0)
    np.testing.assert_array_equal(w, [1.0, -0.5])
    assert optimizer.skipped_steps == 1


def test_a_weight_that_was_infinite_before_keeps_nothing_from_training():
    w, mask = keras.Variable([1.0]), keras.Variable([-np.inf])
    optimizer = SecondOrderGradient(
        keras.optimizers.SGD(0.5), curvature_weight=0.5
    )
    optimizer.build([w, mask])

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(w.value**2) / 2
        optimizer.apply([*tape.gradient(loss, [w.value]), None], [w, mask])

    with pytest.warns(UserWarning, match="Gradients do not exist"):
        step()
    np.testing.assert_array_equal(w, [0.25])
    assert optimizer.skipped_steps == 0


def test_targets_of_1e12_leave_numbers_in_the_weights():
    for make in (lambda: SecondOrderGradient("adam"), AdaHessian, Sophia):
        model = network()
        model.compile(make(), "mse")
        fit(model, x=X, y=1e12 * Y, epochs=4)
        for values in everything(model.optimizer, model.variables):
            assert np.isfinite(values).all()
    assert np.isfinite(weights(model)).all()
