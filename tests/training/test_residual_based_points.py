"""Points by residuals, against the density they are asked for."""

import numpy as np
import pytest

from keras_curvature.training import residual_based_points, uniform_points


@pytest.mark.parametrize("exponent, offset", [(1, 1), (2, 0), (0, 1)])
def test_residuals_give_the_density_of_the_paper(exponent, offset):
    candidates = np.linspace(0, 1, 200_001)[:, None]
    residuals = candidates[:, 0]
    drawn = residual_based_points(
        candidates, residuals, 20_000, exponent, offset, seed=0
    )[:, 0]
    # E x under a density (k + 1)·xᵏ + c, over that of its integral.
    moment = (exponent + 1) / (exponent + 2) + offset / 2
    mean = moment / (1 + offset)
    # One in ten of a regular grid, each from ten neighbors.
    assert abs(drawn.mean() - mean) < 1e-4
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


def test_each_quarter_gets_its_share_up_to_one_point():
    candidates = uniform_points(2000, (0, 0), (1, 1), seed=1)
    # The corners, so that the halves of the box are those of the curve.
    candidates[:2] = (0, 0), (1, 1)
    residuals = 1 + candidates[:, 0]
    drawn = residual_based_points(candidates, residuals, 300, seed=0)
    density = residuals / residuals.mean() + 1
    expected = 300 * density / density.sum()
    for corner in [(0, 0), (0, 1), (1, 0), (1, 1)]:
        is_there = (np.floor(2 * candidates).clip(0, 1) == corner).all(axis=1)
        found = (np.floor(2 * drawn).clip(0, 1) == corner).all(axis=1).sum()
        assert abs(found - expected[is_there].sum()) < 1


def test_the_largest_residuals_are_certain_and_taken_once():
    candidates = np.arange(100.0)[:, None]
    residuals = np.where(candidates[:, 0] < 5, 1e6, 1.0)
    drawn = residual_based_points(candidates, residuals, 10, 1, 0, seed=0)[:, 0]
    assert set(range(5)) < set(drawn)
    assert len(set(drawn)) == 10


def test_each_candidate_is_drawn_as_often_as_its_density():
    candidates = np.arange(4.0)[:, None]
    residuals = np.array([1.0, 2.0, 3.0, 4.0])
    counts = np.zeros(4)
    for seed in range(2000):
        drawn = residual_based_points(candidates, residuals, 2, 1, 0, seed)
        counts[drawn[:, 0].astype(int)] += 1
    # 2·r/Σr; four standard deviations of a share of 2,000.
    np.testing.assert_allclose(counts / 2000, residuals / 5, atol=0.045)
