"""A loss whose targets take two uniform numbers each."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_curvature
from keras_curvature.losses import KnownLoss, register_loss
from keras_curvature.operators import Fisher, KroneckerFactored
from keras_curvature.optimizers import KFAC, Sophia

N = 4096
# Targets f + √6(u₁ − u₂) have the variance 1. The mean of the squares of N
# scores deviates by less than 4.5·√(0.4·3.5/N) but once in 150,000 times.
CHANCE = 4.5 * (1.4 / N) ** 0.5


def half_square(y_true, y_pred):
    return keras.ops.mean((y_pred - y_true) ** 2, axis=-1) / 2


@register_loss(half_square)
class HalfSquare(KnownLoss):
    def squared_scale(self, term):
        return term.entry_weights()

    def sampled_score(self, term, draws):
        shape, dtype = tf.shape(term.output), term.output.dtype
        return 6**0.5 * (draws(shape, dtype) - draws(shape, dtype))


def data():
    return np.ones((N, 1), "float32"), np.zeros((N, 1), "float32")


def fitted(optimizer):
    """A model with one weight of Fisher information 1 after a step."""
    layer = keras.layers.Dense(1, use_bias=False)
    model = keras_curvature.Sequential([keras.Input((1,)), layer])
    model.compile(optimizer, half_square)
    model.fit(*data(), batch_size=N, verbose=0)
    return model


def state(optimizer, name):
    (found,) = [v for v in optimizer.variables if name in v.path]
    return keras.ops.convert_to_numpy(found)


def test_kfac_has_the_information():
    options = {"fisher": "monte_carlo", "momentum": 0.0}
    model = fitted(KFAC(**options))
    outputs = state(model.optimizer, "factor_0_outputs")
    assert abs(outputs.item() - 1) < CHANCE


def test_sophia_has_an_estimate():
    model = fitted(Sophia(estimator="gauss_newton_bartlett", update_period=1))
    assert state(model.optimizer, "hessian_diagonal").item() > 0


@pytest.mark.parametrize("kind", ["fisher", "kronecker"])
def test_operators_have_the_information(kind):
    model = fitted("sgd")
    if kind == "fisher":
        matrix = Fisher(model, *data(), kind="monte_carlo")
    else:
        matrix = KroneckerFactored(model, *data(), fisher="monte_carlo")
    assert abs(np.array(matrix @ np.ones(1)).item() - 1) < CHANCE
