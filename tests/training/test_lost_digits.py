"""Data that float32 cannot hold are said so, and no others."""

import warnings

import keras
import numpy as np
import pytest

import keras_curvature
from keras_curvature.optimizers import LevenbergMarquardt
from keras_curvature.training._whole_batch import whole_batch

SPREAD = np.linspace(-1.0, 1.0, 50)


def told(x, y=SPREAD):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        whole_batch(x, y)
    return [str(warning.message) for warning in found]


@pytest.mark.parametrize(
    "x, y, words",
    [
        (6e9 + 5e6 * SPREAD, SPREAD, "float32 is too coarse for `x`"),
        (1 + 2e-4 * SPREAD, SPREAD, "float32 is too coarse for `x`"),
        ({"t": np.stack([SPREAD, 1e6 + SPREAD], 1)}, SPREAD, "coarse for `x`"),
        (SPREAD, 101325 + SPREAD, "float32 is too coarse for `y`"),
        (SPREAD, 1.6e-19 * SPREAD, "squares of `y` are out of the range"),
        (SPREAD, 1e20 * SPREAD, "squares of `y` are out of the range"),
    ],
    ids=["frequencies", "narrow", "column", "pressure", "charges", "huge"],
)
def test_what_float32_loses_is_said(x, y, words):
    (message,) = told(x, y)
    assert words in message
    assert 'set_floatx("float64")' in message


@pytest.mark.parametrize(
    "x, y",
    [
        (SPREAD, 1e-12 * SPREAD),
        (2000 + 20 * SPREAD, 300 + 10 * SPREAD),
        (1e9 + np.arange(50) * 64, np.full(50, 0.1)),
        (np.arange(50) + 10**9, SPREAD),
        (np.where(SPREAD > 0, np.nan, SPREAD), np.inf * SPREAD),
        ([SPREAD, np.float32(1e6 + SPREAD)], None),
    ],
    ids=["small", "years", "exact", "integers", "not finite", "singles"],
)
def test_what_float32_holds_is_not(x, y):
    assert not told(x, y)


def test_float64_holds_all(float64):
    assert not told(6e9 + 5e6 * SPREAD, 1.6e-19 * SPREAD)


def test_solve_says_it():
    model = keras_curvature.Sequential(
        [keras.Input((1,)), keras.layers.Dense(1)]
    )
    model.compile(LevenbergMarquardt(geodesic_acceleration=False), "mse")
    with pytest.warns(UserWarning, match="too coarse for `x`") as found:
        keras_curvature.solve(
            model, 1e6 + SPREAD, SPREAD, max_steps=1, verbose=0
        )
    assert found[0].filename == __file__
