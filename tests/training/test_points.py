"""Points of a box, against what defines each way to draw them."""

import numpy as np
import pytest

from keras_curvature.training import (
    latin_hypercube_points,
    lattice_points,
    uniform_points,
)

LOW, HIGH = np.array([-1.0, 2.0, 0.0]), np.array([1.0, 2.5, 10.0])


@pytest.mark.parametrize(
    "draw", [uniform_points, latin_hypercube_points, lattice_points]
)
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


def test_waves_that_fit_the_box_have_no_mean_over_a_lattice():
    points = lattice_points(1000, (-1, 2), (1, 2.5), seed=0)
    cycles = (points - (-1, 2)) / (2, 0.5)
    for waves in [(1, 0), (0, 1), (1, -1), (3, 2), (5, -4)]:
        mean = np.exp(2j * np.pi * cycles @ waves).mean()
        # Independent points would have 0.03.
        assert abs(mean) < 1e-12


def test_a_lattice_is_one_shifted_by_the_seed():
    box = ((0, 0, 0), (1, 1, 1))
    points, others = (lattice_points(101, *box, seed=s) for s in (0, 1))
    # Sums of two vectors between its points are such vectors.
    steps = np.round(101 * ((points - points[0]) % 1)) % 101
    known = {tuple(step) for step in steps}
    assert len(known) == 101
    assert {tuple((a + steps[7]) % 101) for a in steps} == known
    shift = (others - points) % 1
    np.testing.assert_allclose(shift, shift[:1].repeat(101, axis=0), atol=1e-9)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_points_are_a_lattice_too(count):
    points = lattice_points(count, (0, 0), (1, 1), seed=0)
    assert len(np.unique(np.round(points, 9), axis=0)) == count


@pytest.mark.parametrize(
    "low, high", [(0, 0), ((0, 0), (1,)), ((0, np.nan), (1, 1))]
)
def test_what_is_no_box_is_refused(low, high):
    with pytest.raises(ValueError, match="corners of a box"):
        uniform_points(5, low, high)
