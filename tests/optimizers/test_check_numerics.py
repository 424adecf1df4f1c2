"""Fits under `tf.debugging.enable_check_numerics`.

It raises wherever an operation gives NaN or an infinite number, used or not.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_curvature
from keras_curvature import optimizers

CASES = {
    "second_order_gradient": (
        lambda: optimizers.SecondOrderGradient("adam"),
        2,
    ),
    "adahessian": (lambda: optimizers.AdaHessian(update_period=2), 2),
    "sophia": (lambda: optimizers.Sophia(update_period=2), 2),
    # To the end of the run, where steps and gradients vanish.
    "lbfgs": (optimizers.LBFGS, 40),
    "lbfgs_armijo": (lambda: optimizers.LBFGS(line_search="armijo"), 40),
    "newton_cg": (optimizers.NewtonCG, 40),
    "levenberg_marquardt": (optimizers.LevenbergMarquardt, 40),
    "gauss_newton": (optimizers.GaussNewton, 40),
}


@pytest.fixture
def checked_numerics():
    tf.debugging.enable_check_numerics()
    yield
    tf.debugging.disable_check_numerics()


@pytest.mark.parametrize("name", CASES)
def test_no_number_on_the_way_is_not_finite(name, checked_numerics, rng):
    make, epochs = CASES[name]
    x = rng.normal(size=(8, 2)).astype("float32")
    y = np.sin(x[:, :1])
    model = keras_curvature.Sequential(
        [keras.Input((2,)), keras.layers.Dense(1)]
    )
    model.compile(make(), "mse")
    history = model.fit(x, y, batch_size=8, epochs=epochs, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    assert epochs == 2 or "stop_reason" in history
