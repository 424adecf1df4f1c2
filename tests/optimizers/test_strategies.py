"""Training on replicas equals training on one device, global batch by batch.

Keras itself fails with MirroredStrategy and jit_compile on CPUs ("resource on
a different device"), so jit is tested on one device.
"""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.testing import assert_allclose

import keras_curvature
from keras_curvature.optimizers import KFAC, SecondOrderGradient
from tests.optimizers.helpers import X, Y, fit, network, weights

# The sum over replicas is taken in another order: rounding, 20 steps long.
TOLERANCE = 1e-10


def weights_on(strategy, make_optimizer, model_class):
    with strategy.scope():
        model = network(model_class)
        model.compile(make_optimizer(), "mse")
    # Five epochs in one: on replicas Keras needs a quarter of a second to
    # begin each.
    fit(model, 1, np.tile(X, (5, 1)), np.tile(Y, (5, 1)))
    assert model.optimizer.iterations == 20
    return weights(model)


def one_device():
    return tf.distribute.get_strategy()


INNER = {
    "adam": lambda: SecondOrderGradient(keras.optimizers.Adam(0.02)),
    "momentum, period 3": lambda: SecondOrderGradient(
        keras.optimizers.SGD(0.05, momentum=0.9), update_period=3
    ),
    "normalized": lambda: SecondOrderGradient("sgd", normalize=True),
    # Keras refuses ema_overwrite_frequency on replicas itself.
    "clipnorm, decay, average": lambda: SecondOrderGradient(
        keras.optimizers.SGD(0.1, weight_decay=0.1, clipnorm=0.1, use_ema=True)
    ),
    "global_clipnorm": lambda: SecondOrderGradient(
        keras.optimizers.SGD(0.1, global_clipnorm=0.1)
    ),
    "clipvalue, loss scale": lambda: SecondOrderGradient(
        keras.optimizers.SGD(0.1, clipvalue=0.05, loss_scale_factor=64.0)
    ),
    "loss scale, period 3": lambda: keras.optimizers.LossScaleOptimizer(
        SecondOrderGradient("adam", update_period=3)
    ),
}


@functools.cache
def on_one_device(optimizer):
    """The weights of a plain model in float64, trained once in a process."""
    return weights_on(
        tf.distribute.get_strategy(), INNER[optimizer], keras.Sequential
    )


@pytest.mark.parametrize("optimizer", INNER)
def test_two_replicas_train_as_one_device(
    optimizer, mirrored_strategy, float64
):
    assert_allclose(
        weights_on(mirrored_strategy, INNER[optimizer], keras.Sequential),
        on_one_device(optimizer),
        atol=TOLERANCE,
    )


@pytest.mark.parametrize("optimizer", ["adam", "momentum, period 3"])
def test_two_replicas_under_tapes_train_as_one_device(
    optimizer, mirrored_strategy, float64
):
    make = INNER[optimizer]
    assert_allclose(
        weights_on(mirrored_strategy, make, keras_curvature.Sequential),
        on_one_device(optimizer),
        atol=TOLERANCE,
    )


def test_kfac_on_two_replicas_in_float32(mirrored_strategy):
    """Whose sums over replicas are of float32 and float64."""
    reached = [
        weights_on(strategy, KFAC, keras.Sequential)
        for strategy in (mirrored_strategy, one_device())
    ]
    assert_allclose(*reached, rtol=1e-4, atol=1e-5)


def test_the_direction_is_not_a_mean_of_local_ones(mirrored_strategy, float64):
    # Each replica sees one of two samples of L = mean (xᵢw)²: with
    # g = (x₁² + x₂²)w and H = x₁² + x₂², the mean of local products
    # (x₁⁴ + x₂⁴)·2w differs from H·g = (x₁² + x₂²)²w.
    with mirrored_strategy.scope():
        model = keras.Sequential(
            [
                keras.Input((1,)),
                keras.layers.Dense(
                    1, use_bias=False, kernel_initializer="ones"
                ),
            ]
        )
        model.compile(
            SecondOrderGradient(
                keras.optimizers.SGD(1.0), curvature_weight=0.25
            ),
            "mse",
        )
    fit(model, x=np.array([[1.0], [2.0]]), y=np.zeros((2, 1)), batch_size=2)
    assert_allclose(weights(model), 1 - (5 + 0.25 * 25), rtol=1e-13)


def test_an_unequal_last_batch(mirrored_strategy, float64):
    # 24 samples in batches of 10 end with one of 4, and one of 5 splits 3
    # and 2: Keras weighs each replica's mean alike, with SGD as with us. So
    # the reference is a model whose samples carry those weights.
    def train(strategy, sample_weight):
        with strategy.scope():
            model = network()
            model.compile(SecondOrderGradient("adam", update_period=2), "mse")
        batches = [slice(0, 10), slice(10, 20), slice(20, 25)]
        x, y = np.concatenate([X, X[:1]]), np.concatenate([Y, Y[:1]])
        if sample_weight is None:
            fit(model, 2, x, y, batch_size=10)
            return weights(model)
        for _ in range(2):
            for batch in batches:
                fit(
                    model,
                    x=x[batch],
                    y=y[batch],
                    batch_size=10,
                    sample_weight=sample_weight[batch],
                )
        return weights(model)

    share = np.ones(25)
    share[20:23], share[23:25] = 5 / (2 * 3), 5 / (2 * 2)
    assert_allclose(
        train(mirrored_strategy, None),
        train(one_device(), share),
        atol=TOLERANCE,
    )


def test_a_step_that_one_replica_cannot_take_is_taken_by_none(
    mirrored_strategy, float64
):
    x = X.copy()
    x[7] = np.nan
    results = []
    for strategy in (mirrored_strategy, one_device()):
        with strategy.scope():
            model = network()
            model.compile(SecondOrderGradient("adam", update_period=2), "mse")
        with pytest.warns(UserWarning, match="1 steps were skipped"):
            fit(model, x=x)
        assert model.optimizer.skipped_steps == 1
        results.append(weights(model))
    assert_allclose(*results, atol=TOLERANCE)


def test_a_model_trained_on_replicas_saves_and_resumes(
    mirrored_strategy, float64, tmp_path
):
    def compiled():
        model = network()
        model.compile(SecondOrderGradient("adam", update_period=3), "mse")
        return model

    with mirrored_strategy.scope():
        model = compiled()
    fit(model)
    model.save(tmp_path / "model.keras")
    fit(model)
    alone = keras.models.load_model(tmp_path / "model.keras")
    fit(alone)
    assert_allclose(weights(alone), weights(model), atol=TOLERANCE)
