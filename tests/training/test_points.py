"""Points of a box, against what defines each way to draw them."""

import numpy as np
import pytest

from keras_curvature.training import (
    latin_hypercube_points,
    residual_based_points,
    uniform_points,
)

LOW, HIGH = np.array([-1.0, 2.0, 0.0]), np.array([1.0, 2.5, 10.0])


@pytest.mark.parametrize("draw", [uniform_points, latin_hypercube_points])
def test_points_fill_the_box_and_follow_the_seed(draw):
    points = draw(2000, LOW, HIGH, seed=3)
    assert points.shape == (2000, 3)
    assert ((points >= LOW) & (points <= HIGH)).all()
    # Five standard deviations of the mean of uniform numbers.
    distance = np.abs(points.mean(axis=0) - (LOW + HIGH) / 2)
    assert (distance < 5 * (HIGH - LOW) / np.sqrt(12 * 2000)).all()
    np.testing.assert_array_equal(points, draw(2000, LOW, HIGH, seed=3))
    assert not np.array_equal(points, draw(2000, LOW, HIGH, seed=4))


def test_a_latin_hypercube_has_one_point_in_each_part_of_each_side():
    points = latin_hypercube_points(50, LOW, HIGH, seed=0)
    parts = np.floor(50 * (points - LOW) / (HIGH - LOW)).astype(int)
    np.testing.assert_array_equal(
        np.sort(parts, axis=0), np.arange(50)[:, None].repeat(3, axis=1)
    )


@pytest.mark.parametrize("exponent, offset", [(1, 1), (2, 0), (0, 1)])
def test_residuals_give_the_density_of_the_paper(exponent, offset):
    # One of a thousand: near enough to draws with replacement.
    candidates = np.linspace(0, 1, 200_001)[:, None]
    residuals = candidates[:, 0]
    drawn = residual_based_points(
        candidates, residuals, 20_000, exponent, offset, seed=0
    )[:, 0]
    # E x under a density (k + 1)·xᵏ + c, over that of its integral.
    moment = (exponent + 1) / (exponent + 2) + offset / 2
    mean = moment / (1 + offset)
    # Without replacement the tail is thinned by a tenth of what is drawn.
    assert abs(drawn.mean() - mean) < 0.02
    assert len(np.unique(drawn)) == 20_000


def test_without_residuals_all_candidates_are_alike():
    candidates = np.arange(10.0)[:, None]
    drawn = residual_based_points(candidates, np.zeros(10), 10, seed=0)
    np.testing.assert_array_equal(np.sort(drawn[:, 0]), np.arange(10))


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((np.ones((3, 1)), np.ones(3), 4), "count=4 and 3 candidates"),
        ((np.ones((3, 1)), np.ones(2), 1), "entry for each candidate"),
        ((np.ones((2, 1)), [1, np.nan], 1), "must be finite"),
        ((np.ones((2, 1)), [1, 0], 2, 1, 0), "`offset` must be above 0"),
    ],
)
def test_what_cannot_be_drawn_from_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        residual_based_points(*arguments)


@pytest.mark.parametrize(
    "low, high", [(0, 0), ((0, 0), (1,)), ((0, np.nan), (1, 1))]
)
def test_what_is_no_box_is_refused(low, high):
    with pytest.raises(ValueError, match="corners of a box"):
        uniform_points(5, low, high)
