"""Options of Keras's own optimizers, callbacks and files around the method."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.testing import assert_allclose, assert_array_equal

import keras_curvature
from keras_curvature.optimizers import SecondOrderGradient
from tests.optimizers.helpers import (
    X,
    Y,
    fit,
    network,
    second_order_adam,
    trained,
    weights,
    weights_after,
)

schedules = keras.optimizers.schedules


def inner_optimizers():
    """A factory for every optimizer that this Keras version exports."""
    wrappers = {"Optimizer", "LossScaleOptimizer", "MultiOptimizer"}
    found = {
        name: value
        for name, value in vars(keras.optimizers).items()
        if isinstance(value, type)
        and issubclass(value, keras.optimizers.Optimizer)
        and name not in wrappers
    }
    if hasattr(keras.optimizers, "MultiOptimizer"):
        found["MultiOptimizer"] = lambda: keras.optimizers.MultiOptimizer(
            keras.optimizers.OptimizerMap(
                keras.optimizers.SGD(0.1), {".*bias": keras.optimizers.Adam()}
            )
        )
    return found


INNER = inner_optimizers()
OPTIONS = {
    "weight_decay": {"weight_decay": 0.1},
    "clipnorm": {"clipnorm": 0.1},
    "global_clipnorm": {"global_clipnorm": 0.1},
    "clipvalue": {"clipvalue": 0.01},
    "use_ema": {"use_ema": True},
    "ema_overwrite_frequency": {"use_ema": True, "ema_overwrite_frequency": 3},
    "loss_scale_factor": {"loss_scale_factor": 1024.0},
    "schedule": {"learning_rate": schedules.ExponentialDecay(0.1, 3, 0.5)},
}


def test_the_walk_finds_the_optimizers_of_keras():
    assert {"SGD", "Adam", "RMSprop", "Adafactor", "Ftrl"} <= set(INNER)


def values_after(optimizer, steps=5):
    """Two variables after eager steps with gradients drawn beforehand."""
    generator = np.random.default_rng(0)
    variables = [
        keras.Variable(np.float32(generator.normal(size=shape)), name=name)
        for shape, name in [((3, 2), "kernel"), ((2,), "bias")]
    ]
    for _ in range(steps):
        gradients = [
            tf.constant(generator.normal(size=v.shape), v.dtype)
            for v in variables
        ]
        optimizer.apply(gradients, variables)
    optimizer.finalize_variable_values(variables)
    return np.concatenate([np.ravel(v.numpy()) for v in variables])


@pytest.mark.parametrize("inner", INNER)
def test_curvature_weight_zero_is_the_inner_optimizer_to_the_last_bit(inner):
    make = INNER[inner]
    assert_array_equal(
        values_after(SecondOrderGradient(make(), curvature_weight=0)),
        values_after(make()),
    )


@pytest.mark.parametrize("option", OPTIONS)
def test_curvature_weight_zero_keeps_every_option_to_the_last_bit(option):
    def make():
        return keras.optimizers.SGD(
            **{"learning_rate": 0.1, "momentum": 0.9, **OPTIONS[option]}
        )

    assert_array_equal(
        values_after(SecondOrderGradient(make(), curvature_weight=0)),
        values_after(make()),
    )


def test_curvature_weight_zero_under_fit_is_the_inner_optimizer_too():
    assert_array_equal(
        weights_after(SecondOrderGradient("adam", curvature_weight=0)),
        weights_after("adam"),
    )


@pytest.mark.parametrize("inner", INNER)
def test_every_inner_optimizer_trains_with_curvature_and_resumes(
    inner, tmp_path
):
    def start(optimizer):
        return trained(
            optimizer, keras_curvature.Sequential, 1, run_eagerly=True
        )

    model = start(SecondOrderGradient(INNER[inner](), update_period=3))
    model.save(tmp_path / "model.keras")
    resumed = keras.models.load_model(tmp_path / "model.keras")
    # The curvature has an effect on the path of each of them.
    assert np.any(weights(model) != weights(start(INNER[inner]())))
    fit(model)
    fit(resumed)
    assert_array_equal(weights(resumed), weights(model))


class PlusHessian(keras.optimizers.SGD):
    """g + c·H·g of ½Σw² is (1 + c)·g: what the wrapper must amount to."""

    def apply(self, grads, trainable_variables=None):
        grads = [g * tf.cast(1.25, g.dtype) for g in grads]
        super().apply(grads, trainable_variables)


@pytest.mark.parametrize("option", OPTIONS)
def test_options_act_on_the_direction_as_on_a_gradient(option, float64):
    def train(optimizer):
        w = keras.layers.Dense(2, use_bias=False, kernel_initializer="ones")
        model = keras_curvature.Sequential([keras.Input((2,)), w])
        model.compile(optimizer, "mse", run_eagerly=True)
        # mse of w·√2·I against 0 over 2 samples and 2 outputs: ½Σw².
        x, y = np.eye(2) * np.sqrt(2), np.zeros((2, 2))
        model.fit(x, y, epochs=7, verbose=0)
        return weights(model)

    options = {"learning_rate": 0.1, "momentum": 0.5, **OPTIONS[option]}
    wrapped = train(
        SecondOrderGradient(
            keras.optimizers.SGD(**options), curvature_weight=0.25
        )
    )
    assert_allclose(wrapped, train(PlusHessian(**options)), rtol=1e-12)


def test_held_products_meet_the_loss_scale_as_fresh_ones_do(float64):
    def train(update_period, **options):
        optimizer = SecondOrderGradient(
            keras.optimizers.SGD(0.1, **options), update_period=update_period
        )
        return weights_after(optimizer)

    for period in (1, 3):
        assert_allclose(
            train(period, loss_scale_factor=4096.0), train(period), rtol=1e-12
        )


def test_constraints_hold_after_every_step():
    model = network(kernel_constraint=keras.constraints.UnitNorm())
    model.compile(SecondOrderGradient("sgd"), "mse")
    fit(model)
    norms = np.linalg.norm(model.layers[0].kernel.numpy(), axis=0)
    assert_allclose(norms, 1, rtol=1e-6)


def test_exclude_from_weight_decay_reaches_the_inner_optimizer(float64):
    def train(**arguments):
        model = network()
        optimizer = SecondOrderGradient(
            keras.optimizers.SGD(1e-30, weight_decay=1e28), curvature_weight=0
        )
        if arguments:
            optimizer.exclude_from_weight_decay(**arguments)
        model.compile(optimizer, "mse")
        before = model.layers[0].kernel.numpy()
        fit(model, x=X[:6], y=Y[:6])
        return model.layers[0].kernel.numpy() / before

    assert_allclose(train(), 0.99)
    assert_allclose(train(var_names=["kernel"]), 1)


def test_gradient_accumulation_is_refused_with_what_to_do_instead():
    accumulating = keras.optimizers.SGD(gradient_accumulation_steps=2)
    with pytest.raises(ValueError, match="Use a larger batch_size"):
        SecondOrderGradient(accumulating)


@pytest.mark.skipif(
    "MultiOptimizer" not in INNER, reason="this Keras has no MultiOptimizer"
)
def test_gradient_accumulation_in_a_part_is_refused():
    accumulating = keras.optimizers.SGD(gradient_accumulation_steps=2)
    parts = keras.optimizers.OptimizerMap(accumulating)
    with pytest.raises(ValueError, match="gradient_accumulation_steps=2"):
        SecondOrderGradient(keras.optimizers.MultiOptimizer(parts))


def test_loss_scaling_goes_around_and_not_inside(float64):
    scaled = keras.optimizers.LossScaleOptimizer
    with pytest.raises(ValueError, match=r"LossScaleOptimizer\(SecondOrder"):
        SecondOrderGradient(scaled(keras.optimizers.SGD()))
    expected = second_order_adam(update_period=3)
    for model_class, options in [
        (keras.Sequential, {}),
        (keras_curvature.Sequential, {}),
        (keras_curvature.Sequential, {"run_eagerly": True}),
    ]:
        optimizer = scaled(SecondOrderGradient("adam", update_period=3))
        assert_allclose(
            weights_after(optimizer, model_class, **options),
            expected,
            rtol=1e-12,
        )


def test_learning_rate_callbacks_reach_the_inner_optimizer():
    model = network()
    model.compile(SecondOrderGradient(keras.optimizers.SGD(0.5)), "mse")
    rates = [0.1, 0.05, 0.025]
    seen = fit(
        model,
        3,
        callbacks=[keras.callbacks.LearningRateScheduler(rates.__getitem__)],
    ).history["learning_rate"]
    assert_allclose(seen, rates)
    assert_allclose(model.optimizer.inner_optimizer.learning_rate, 0.025)
    plateau = keras.callbacks.ReduceLROnPlateau(
        monitor="loss", factor=0.5, patience=1, min_delta=100
    )
    seen = fit(model, 3, callbacks=[plateau]).history["learning_rate"]
    assert_allclose(seen, [0.025, 0.025, 0.0125])


@pytest.mark.parametrize("update_period", [1, 3])
def test_steps_per_execution_change_nothing(update_period, float64):
    optimizer = SecondOrderGradient("adam", update_period=update_period)
    assert_allclose(
        weights_after(optimizer, steps_per_execution=3),
        second_order_adam(update_period),
        rtol=1e-13,
    )


def test_class_and_sample_weights_weigh_the_curvature(float64):
    # A sample of weight 2 trains as the same sample given twice, where the
    # mean is over as many: weights (2, 0) against doubling.
    def train(x, y, sample_weight=None):
        model = network()
        model.compile(SecondOrderGradient(keras.optimizers.SGD(0.5)), "mse")
        fit(model, 3, x, y, sample_weight=sample_weight)
        return weights(model)

    twice = np.repeat(np.arange(3), 2)
    weighted = train(X[:6], Y[:6], sample_weight=np.array([2.0, 2, 2, 0, 0, 0]))
    assert_allclose(weighted, train(X[twice], Y[twice]), rtol=1e-12)


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: SecondOrderGradient(
            "adam",
            gradient_weight=0.5,
            curvature_weight=0.2,
            normalize=True,
            update_period=4,
            name="mine",
        ),
        lambda: SecondOrderGradient(
            keras.optimizers.RMSprop(
                schedules.CosineDecay(0.1, 10), clipnorm=1.0, use_ema=True
            )
        ),
        lambda: SecondOrderGradient(
            {"class_name": "SGD", "config": {"learning_rate": 0.25}}
        ),
    ],
    ids=["name", "instance", "config"],
)
def test_config_makes_the_same_optimizer_again(optimizer):
    optimizer = optimizer()
    again = SecondOrderGradient.from_config(optimizer.get_config())
    assert again.get_config() == optimizer.get_config()
    by_keras = keras.optimizers.deserialize(
        keras.optimizers.serialize(optimizer)
    )
    assert by_keras.get_config() == optimizer.get_config()


def test_config_is_plain_data_and_stays_untouched():
    import json

    config = SecondOrderGradient("adam").get_config()
    text = json.dumps(config)
    SecondOrderGradient.from_config(config)
    assert json.dumps(config) == text


@pytest.mark.parametrize(
    "model_class", [keras.Sequential, keras_curvature.Sequential]
)
def test_a_saved_model_resumes_to_the_last_bit(model_class, tmp_path):
    # 4 steps, a file, 4 steps: the fifth must use the product held since the
    # fourth, as the uninterrupted run does.
    def optimizer():
        return SecondOrderGradient("adam", update_period=3)

    uninterrupted = weights_after(optimizer(), model_class, epochs=2)
    trained(optimizer(), model_class, epochs=1).save(tmp_path / "m.keras")
    model = keras.models.load_model(tmp_path / "m.keras")
    fit(model)
    assert type(model) is model_class
    assert_array_equal(weights(model), uninterrupted)


def test_saved_weights_resume_to_the_last_bit(tmp_path):
    path = tmp_path / "m.weights.h5"
    optimizer = SecondOrderGradient("adam", update_period=3)
    model = trained(optimizer, epochs=1)
    model.save_weights(path)
    fit(model)
    other = network()
    other.compile(SecondOrderGradient("adam", update_period=3), "mse")
    other.optimizer.build(other.trainable_variables)
    other.load_weights(path)
    fit(other)
    assert_array_equal(weights(other), weights(model))


def test_backup_and_restore_resumes_to_the_last_bit(tmp_path):
    class Crash(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise InterruptedError

    def backup():
        return keras.callbacks.BackupAndRestore(tmp_path / "backup")

    def model():
        model = network()
        model.compile(SecondOrderGradient("adam", update_period=3), "mse")
        return model

    with pytest.raises(InterruptedError):
        fit(model(), 4, callbacks=[backup(), Crash()])
    resumed = model()
    fit(resumed, 4, callbacks=[backup()])
    uninterrupted = SecondOrderGradient("adam", update_period=3)
    assert_array_equal(weights(resumed), weights_after(uninterrupted, epochs=4))
    assert resumed.optimizer.iterations == 16


@pytest.mark.parametrize("build_first", [False, True])
def test_a_tensorflow_checkpoint_resumes_to_the_last_bit(build_first, tmp_path):
    def optimizer():
        return SecondOrderGradient("adam", update_period=3)

    model = trained(optimizer(), epochs=1)
    checkpoint = tf.train.Checkpoint(model=model, optimizer=model.optimizer)
    path = checkpoint.save(str(tmp_path / "checkpoint"))
    fit(model)
    other = network()
    other.compile(optimizer(), "mse")
    if build_first:
        other.optimizer.build(other.trainable_variables)
    status = tf.train.Checkpoint(
        model=other, optimizer=other.optimizer
    ).restore(path)
    fit(other)
    status.assert_consumed()
    assert_array_equal(weights(other), weights(model))


def test_all_state_is_created_by_build_and_listed():
    model, optimizer = network(), SecondOrderGradient("adam", update_period=3)
    optimizer.build(model.trainable_variables)
    before = [v.path for v in optimizer.variables]
    model.compile(optimizer, "mse")
    fit(model)
    assert [v.path for v in optimizer.variables] == before
    held = [p for p in before if "curvature_product" in p]
    assert len(held) == len(model.trainable_variables)


def test_apply_gradients_returns_the_iterations_that_advance():
    w, optimizer = tf.Variable(2.0), SecondOrderGradient("sgd")

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = w**2
        gradients = tape.gradient(loss, [w])
        return optimizer.apply_gradients(zip(gradients, [w], strict=True))

    step()
    assert step() == 2
    assert optimizer.iterations == 2
