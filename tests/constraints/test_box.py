"""Bounds as a Keras constraint."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_curvature
from keras_curvature.constraints import Box


@pytest.mark.parametrize(
    "options",
    [{"lower": "low"}, {"lower": np.nan}, {"upper": None, "lower": [[1], "x"]}],
    ids=str,
)
def test_bounds_that_are_no_numbers_are_refused(options):
    with pytest.raises(ValueError, match="lower"):
        Box(**options)


def test_bounds_that_leave_nothing_are_refused():
    with pytest.raises(ValueError, match="below"):
        Box(lower=[0.0, 1.0], upper=1.0)


def test_a_box_is_saved_with_the_model(tmp_path):
    box = Box(lower=[[-1.0], [-np.inf]], upper=2)
    copy = keras.constraints.get(keras.constraints.serialize(box))
    np.testing.assert_array_equal(copy.lower, box.lower)
    np.testing.assert_array_equal(copy.upper, box.upper)
    values = tf.constant([[-3.0], [5.0]])
    np.testing.assert_array_equal(copy(values), [[-1], [2]])
    model = keras_curvature.Sequential(
        [keras.Input((2,)), keras.layers.Dense(1, kernel_constraint=box)]
    )
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.layers[0].kernel_constraint.upper, 2)
