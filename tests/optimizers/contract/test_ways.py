"""However a step is run, it is the same step."""

import gc

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_curvature
from tests.optimizers.contract.helpers import (
    BUILT_BY_FIRST_STEP,
    ERRORS,
    OPTIMIZERS,
    REFUSED,
    SOLVERS,
    STOCHASTIC,
    UNITS,
    compiled,
    shared,
    takes,
    train,
)
from tests.optimizers.helpers import X, Y, network, weights
from tests.oracles import flat


def test_training_begun_again_is_the_same_bit_for_bit(every, float64):
    run = shared(every)
    plain = run.plain()
    run.run()
    np.testing.assert_array_equal(run.weights(), plain)
    assert (plain != flat(run.start())).all()


@pytest.mark.parametrize(
    "every", [n for n in OPTIMIZERS if n not in BUILT_BY_FIRST_STEP]
)
def test_all_state_is_created_by_build(every, float64):
    run = shared(every)
    run.run(1)
    assert [v.path for v in run.model.optimizer.variables] == run.built


def test_a_step_is_traced_once(every, float64):
    run = shared(every)
    calls = []
    # The first may be the one that traces.
    for epochs in (1, 1, 3):
        run.run(epochs)
        calls.append(run.model.calls)
    assert calls[0] == calls[1] == calls[2]


@pytest.mark.parametrize(
    "options",
    [{"jit_compile": True}, {"steps_per_execution": 2}],
    ids=["jit", "steps_per_execution"],
)
def test_a_compiled_step_is_the_plain_one(every, options, float64):
    model = compiled(every, **options)
    train(every, model)
    np.testing.assert_allclose(
        weights(model), shared(every).plain(), rtol=1e-8, atol=1e-12
    )


@pytest.mark.parametrize("every", takes("eager", OPTIMIZERS))
def test_an_eager_step_is_the_plain_one(every, float64):
    run = shared(every, eager=True)
    run.run()
    np.testing.assert_allclose(
        run.weights(), shared(every).plain(), rtol=1e-8, atol=1e-12
    )


@pytest.mark.parametrize("name", REFUSED["eager"])
def test_an_eager_step_is_refused(name, float64):
    with pytest.raises(ERRORS, match=REFUSED["eager"][name]):
        shared(name, eager=True).run(1)


@pytest.mark.parametrize(
    "every, eager",
    [
        (name, eager)
        for eager in (False, True)
        for name in (takes("eager", OPTIMIZERS) if eager else OPTIMIZERS)
    ],
)
def test_memory_stays_flat(every, eager, float64):
    run = shared(every, eager)

    def objects_after(epochs):
        run.run(epochs)
        gc.collect()
        return len(gc.get_objects())

    epochs, steps = (6, 6) if every in SOLVERS else (12, 36)
    objects_after(1)
    # What is there already need not be looked through.
    gc.freeze()
    few, many = objects_after(1), objects_after(1 + epochs)
    # So many more steps that kept one object each would show.
    assert many - few < steps


def test_train_on_batch_is_a_step_of_fit(run, name):
    run.restart()
    size = 18 if name in SOLVERS else 6
    for start in [*range(0, 18, size)] * 4:
        batch = slice(start, start + size)
        logs = run.model.train_on_batch(X[batch], Y[batch], return_dict=True)
    assert np.isfinite(logs["loss"])
    run.model.optimizer.finalize_variable_values(run.model.trainable_variables)
    np.testing.assert_allclose(run.weights(), run.plain(), rtol=1e-9)


@pytest.mark.parametrize("name", takes("replicas", [*STOCHASTIC, *SOLVERS]))
def test_replicas_train_as_one_device(name, float64, mirrored_strategy):
    with mirrored_strategy.scope():
        model = compiled(name)
    # Four epochs in one: on replicas Keras needs a quarter of a second to
    # begin each.
    x, y = np.tile(X[:18], (4, 1)), np.tile(Y[:18], (4, 1))
    train(name, model, 1, x, y, batch_size=18 if name in SOLVERS else 6)
    np.testing.assert_allclose(weights(model), shared(name).plain(), rtol=1e-9)


@pytest.mark.parametrize("name", REFUSED["replicas"])
def test_replicas_are_refused(name, mirrored_strategy):
    with mirrored_strategy.scope():
        model = compiled(name, jit_compile=False)
    with pytest.raises(ERRORS, match=REFUSED["replicas"][name]):
        train(name, model, 1)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("name", STOCHASTIC)
def test_mixed_precision_trains_as_full_precision(name, policy, float64):
    run = shared(name)
    path = np.linalg.norm(run.plain(3) - flat(run.start()))
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy(policy)
    model = compiled(name)
    model.set_weights(run.start())
    train(name, model, 3)
    is_scaled = isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert is_scaled == (policy == "mixed_float16")
    inner = model.optimizer.inner_optimizer if is_scaled else model.optimizer
    assert int(inner.iterations) + int(inner.skipped_steps) >= 8
    # Nine steps; bfloat16 rounds outputs and gradients to 1 in 256.
    assert np.linalg.norm(weights(model) - run.plain(3)) < 0.15 * path


@pytest.mark.parametrize(
    "policy, name",
    [
        (policy, name)
        for policy in ("mixed_bfloat16", "mixed_float16")
        for name in REFUSED[policy]
    ],
)
def test_mixed_precision_is_refused(name, policy):
    keras.config.set_dtype_policy(policy)
    model = compiled(name)
    with pytest.raises(ERRORS, match=REFUSED[policy][name]):
        train(name, model, 1)


@pytest.mark.parametrize("name", STOCHASTIC)
def test_a_step_that_is_not_finite_is_left_out(name, float64):
    run = shared(name)
    run.run(1, X[:12], Y[:12])
    alone = run.weights()
    x = np.concatenate([X[:6], np.full((6, 3), np.inf), X[6:12]])
    with pytest.warns(UserWarning, match="1 steps were skipped"):
        run.run(1, x, np.concatenate([Y[:12], Y[6:12]]))
    assert int(run.model.optimizer.skipped_steps) == 1
    assert int(run.model.optimizer.iterations) == 2
    np.testing.assert_array_equal(run.weights(), alone)


@pytest.mark.parametrize("name", SOLVERS)
def test_a_loss_that_is_not_finite_is_an_error(run, name):
    x = np.array(X[:18])
    x[5] = np.inf
    with pytest.raises(
        (*ERRORS, tf.errors.InvalidArgumentError), match="finite"
    ):
        run.run(1, x)
    np.testing.assert_array_equal(run.weights(), flat(run.start()))


def test_frozen_layers_stay_and_the_rest_trains_as_without_them(name, float64):
    model = network(keras_curvature.Sequential, UNITS)
    frozen = model.layers[0]
    frozen.trainable = False
    before = frozen.get_weights()
    features = np.array(frozen(X[:18]))
    head = keras_curvature.Sequential(
        [keras.Input((UNITS,)), keras.layers.Dense(1)]
    )
    head.set_weights(model.layers[1].get_weights())
    train(name, compiled(name, model), 3)
    train(name, compiled(name, head), 3, x=features)
    for then, now in zip(before, frozen.get_weights(), strict=True):
        np.testing.assert_array_equal(now, then)
    np.testing.assert_allclose(
        flat(model.layers[1].get_weights()),
        weights(head),
        rtol=1e-8,
    )
