"""Steps that are kept for after a rejection."""

import numpy as np
import tensorflow as tf

from keras_curvature.linalg import steihaug
from keras_curvature.optimizers._evaluations.evaluation import where
from keras_curvature.optimizers._evaluations.kept_steps import (
    away_from_saddle,
    shortened,
)


def path(lengths):
    lengths = tf.constant(lengths, tf.float64)
    return {
        "path_steps": lengths[:, tf.newaxis] * tf.ones((1, 3), tf.float64),
        "path_slopes": -lengths,
        "path_curvatures": lengths**2,
        "path_lengths": lengths,
    }


def test_the_next_step_is_the_first_of_at_most_half_the_length():
    after = shortened(path([8.0, 6.0, 3.0, 1.0]))
    assert after["path_lengths"][0] == 3
    assert after["path_slopes"][0] == -3
    assert after["path_curvatures"][0] == 9
    np.testing.assert_array_equal(after["path_steps"][0], [3, 3, 3])


def test_without_a_shorter_one_it_is_a_quarter_of_the_step():
    after = shortened(path([8.0, 7.0, 6.0, 5.0]))
    assert after["path_lengths"][0] == 2
    assert after["path_slopes"][0] == -2
    assert after["path_curvatures"][0] == 4
    np.testing.assert_array_equal(after["path_steps"][0], [2, 2, 2])


def test_steps_away_from_a_saddle_go_downhill_along_negative_curvature():
    hessian = tf.constant([[2.0, 0.0], [0.0, -1.0]], tf.float64)
    gradient = tf.constant([0.0, 1e-3], tf.float64)
    found = steihaug(
        lambda v: tf.linalg.matvec(hessian, v),
        tf.constant([1.0, 1.0], tf.float64),
        tf.constant([1e3, 1e2, 10.0, 1.0], tf.float64),
        1e-6,
        10,
    )
    away = away_from_saddle(found, gradient, tf.constant(4.0, tf.float64))
    np.testing.assert_allclose(away.lengths, [4, 1, 0.25, 0.0625])
    for i in range(4):
        step = away.steps[i].numpy()
        np.testing.assert_allclose(np.linalg.norm(step), away.lengths[i])
        np.testing.assert_allclose(away.slopes[i], gradient.numpy() @ step)
        np.testing.assert_allclose(
            away.curvatures[i], step @ hessian.numpy() @ step, atol=1e-12
        )
        assert away.slopes[i] <= 0
        assert away.curvatures[i] < 0


def test_numbers_take_the_dtype_of_the_tensors():
    chosen = where(tf.constant(True), 0.1, tf.zeros([], tf.float64))
    assert chosen.numpy() == 0.1
    chosen = where(tf.constant(False), 3, 4, tf.zeros([], tf.int64))
    assert chosen.dtype == tf.int64
    assert chosen == 4
