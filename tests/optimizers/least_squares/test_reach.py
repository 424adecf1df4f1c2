"""LevenbergMarquardt keeps the weights of a fit within reach of their size."""

import numpy as np
import pytest
import tensorflow as tf

import keras_curvature
from keras_curvature.optimizers import LevenbergMarquardt
from keras_curvature.optimizers._least_squares.scaling import within_reach
from tests.optimizers.least_squares.helpers import Residuals

VOLTS = np.linspace(0, 0.58, 50)
# Photocurrent, saturation current, ideality and shunt resistance.
CELL = (0.76, 3e-7, 1.5, 54.0)


def solar_cell(b):
    return b[0] - b[1] * (tf.exp(VOLTS / (b[2] * 0.0257)) - 1) - VOLTS / b[3]


def fitted(function, start, targets, steps, **options):
    model = Residuals(function, start)
    model.compile(LevenbergMarquardt(**options), "mse")
    index = np.arange(len(targets), dtype="int32")[:, None]
    keras_curvature.solve(
        model, index, targets[:, None], max_steps=steps, verbose=0
    )
    return model.b.numpy()


def test_weight_without_influence_at_first_is_found(float64):
    # The shunt hardly changes the current as long as the photocurrent is nine
    # times too high; unbounded steps send it to -4e13, where it never does.
    start = [6.80244921, 6.7967072e-07, 1.50970673, 7.22211041]
    targets = solar_cell(tf.constant(CELL, "float64")).numpy()
    found = fitted(solar_cell, start, targets, steps=60)
    np.testing.assert_allclose(found, CELL, rtol=1e-8)


@pytest.mark.parametrize(
    "count, influence", [(2, 1e-6), (2, 1e-8), (40, 1e-6)], ids=str
)
def test_no_step_moves_a_weight_by_more_than_twice_its_size(
    count, influence, float64
):
    # Free, the second weight would move to 1e6 and 1e8 in the end.
    def lines(b):
        return b * np.array([1.0, influence] + [1.0] * (count - 2))

    found = fitted(
        lines,
        [1.0] * count,
        np.array([1e3] + [1.0] * (count - 1)),
        1,
        geodesic_acceleration=False,
    )
    # The length of a step is within a tenth of the radius.
    assert abs(found[1] - 1) <= 2 * 1.1


def test_scale_of_a_weight_that_makes_no_output_stays():
    scaling = within_reach(
        tf.constant([2.0, 2.0, 2.0, 2.0]),
        radius=tf.constant(3.0),
        largest=tf.constant([0, 0.5, 9, 1e-12]),
        parts=tf.constant([0, 0.1, 0.1, 1e-12]),
    )
    np.testing.assert_allclose(scaling, [2, 3, 2, 2])


def test_a_start_next_to_zero_is_as_good_as_zero(float64):
    times = np.linspace(0, 3, 20)

    def decay(b):
        return b[0] * tf.exp(-times) + b[1]

    targets = decay(tf.constant([2.0, 5.0], "float64")).numpy()
    # By a factor of three a step it would take 27 of them.
    found = fitted(decay, [1.0, 1e-12], targets, steps=8)
    np.testing.assert_allclose(found, [2, 5], rtol=1e-12)
