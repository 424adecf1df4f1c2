"""How a trial step within a trust region is judged."""

import numpy as np
import pytest
import tensorflow as tf

from keras_curvature.optimizers._common import rounding
from keras_curvature.optimizers._common.trust_region import (
    LEAST_SQUARES,
    NEWTON,
    first_radius,
    gain_ratio,
    is_at_boundary,
    radii_of_path,
    updated_radius,
)


def number(value):
    return tf.constant(value, tf.float64)


@pytest.mark.parametrize(
    "actual, predicted, expected",
    [
        (1.0, 2.0, 0.5),
        (-1.0, 2.0, -0.5),
        (np.nan, 2.0, -1.0),
        (-np.inf, 2.0, -1.0),
        (1.0, 0.0, -1.0),
        (1.0, -1.0, -1.0),
    ],
)
def test_the_gain_ratio_is_minus_one_where_it_has_no_meaning(
    actual, predicted, expected
):
    assert gain_ratio(number(actual), number(predicted)) == expected


@pytest.mark.parametrize("rules", [NEWTON, LEAST_SQUARES])
@pytest.mark.parametrize(
    "ratio, is_free, expected",
    [
        (0.5, False, 8.0),
        (0.8, False, 16.0),
        (0.1, False, "shrink"),
        (-0.5, False, "shrink_after_rise"),
    ],
)
def test_the_radius_follows_the_gain_ratio(rules, ratio, is_free, expected):
    if isinstance(expected, str):
        expected = 8 * getattr(rules, expected)
    radius = updated_radius(
        number(8.0), number(8.0), number(ratio), tf.constant(is_free), rules
    )
    assert radius == expected


def test_a_free_step_sets_the_radius_of_least_squares_only():
    arguments = (number(8.0), number(1.0), number(0.5), tf.constant(True))
    assert updated_radius(*arguments, LEAST_SQUARES) == 2
    assert updated_radius(*arguments, NEWTON) == 8


def test_a_poor_step_without_a_length_shrinks_the_radius():
    radius = updated_radius(
        number(8.0), number(np.nan), number(-1.0), tf.constant(False)
    )
    assert radius == 2


def test_a_step_on_the_boundary_may_miss_it_by_rounding():
    assert is_at_boundary(number(7.999), number(8.0))
    assert not is_at_boundary(number(7.0), number(8.0))


def test_the_radii_of_a_path_are_quarters_of_quarters():
    np.testing.assert_array_equal(
        radii_of_path(number(8.0), 4), [8, 2, 0.5, 0.125]
    )


@pytest.mark.parametrize("norm, expected", [(3.0, 0.3), (0.0, 0.1)])
def test_the_first_radius_is_a_part_of_the_norm_of_the_weights(norm, expected):
    assert float(first_radius(0.1, number(norm))) == pytest.approx(
        expected, rel=1e-15
    )


def test_a_hidden_reduction_is_told_by_the_slopes():
    # L(w) = w²/2 from w = 1e-9 to 0, beside a constant of 1.
    reduction = rounding.reduction_of(
        number(0.0), number(5e-19), number(-1e-18), number(0.0), number(1e-15)
    )
    assert reduction.is_hidden
    assert reduction.is_noise
    assert float(reduction.value) == pytest.approx(5e-19, rel=1e-12)


@pytest.mark.parametrize("actual", [1e-3, np.nan, -np.inf])
def test_a_reduction_that_shows_is_told_by_the_losses(actual):
    reduction = rounding.reduction_of(
        number(actual), number(5e-19), number(-1.0), number(0.0), number(1e-15)
    )
    assert not reduction.is_hidden
    np.testing.assert_array_equal(reduction.value, actual)
