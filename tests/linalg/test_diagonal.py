"""Estimates of diagonals against those of known matrices."""

import numpy as np
import pytest

from keras_curvature.linalg import diagonal
from tests.linalg.helpers import CountingOperator, symmetric

METHODS = ("hutchinson", "xdiag")
SPECTRA = {
    "decaying": 100 * 2.0 ** -np.arange(60),
    "indefinite": np.random.default_rng(2).uniform(-1, 1, 60),
}
COUNT = 40


@pytest.fixture(scope="module", params=SPECTRA)
def spectrum(request):
    """A name, a matrix, and errors and standard errors by each method."""
    matrix = symmetric(SPECTRA[request.param])
    results = {}
    for method in METHODS:
        found = [
            diagonal(matrix, method=method, probes=24, seed=seed)
            for seed in range(COUNT)
        ]
        results[method] = (
            np.stack([e.values for e in found]) - np.diag(matrix),
            np.stack([e.standard_errors for e in found]),
        )
    return request.param, matrix, results


@pytest.mark.parametrize("method", METHODS)
def test_estimates_are_unbiased(spectrum, method):
    errors, _ = spectrum[2][method]
    deviations = errors.std(axis=0, ddof=1) / COUNT**0.5
    # The largest of 60 numbers, near Student's t of 39 degrees of freedom.
    assert np.abs(errors.mean(axis=0) / deviations).max() < 5


def test_hutchinson_has_the_variance_of_the_theory(spectrum):
    _, matrix, results = spectrum
    errors, standard_errors = results["hutchinson"]
    off = matrix - np.diag(np.diag(matrix))
    expected = np.sum(off**2, axis=1) / 24
    # 40·23 degrees of freedom in each entry; 60 of them.
    np.testing.assert_allclose(
        np.mean(standard_errors**2, axis=0), expected, rtol=0.25
    )
    # All entries together: few of their 40·60 errors are independent.
    np.testing.assert_allclose(np.mean(errors**2), np.mean(expected), rtol=0.25)


def test_standard_errors_of_xdiag_are_an_indication(spectrum):
    errors, standard_errors = spectrum[2]["xdiag"]
    ratio = np.mean(errors**2) / np.mean(standard_errors**2)
    assert 0.5 < ratio < 2


def test_xdiag_knows_decaying_eigenvalues_better(spectrum):
    name, _, results = spectrum
    rms = [np.sqrt(np.mean(results[method][0] ** 2)) for method in METHODS]
    if name == "decaying":
        # 12 vectors take away all but 2⁻¹² of the largest.
        assert rms[0] > 50 * rms[1]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_xdiag_is_exact_for_low_ranks(dtype):
    matrix = symmetric(np.r_[3, 2, -4, np.zeros(50)]).astype(dtype)
    estimate = diagonal(matrix, method="xdiag", probes=12)
    rounding = 20 * np.finfo(dtype).eps
    np.testing.assert_allclose(estimate.values, np.diag(matrix), atol=rounding)
    assert np.max(estimate.standard_errors) < rounding


def test_hutchinson_is_exact_for_diagonal_matrices():
    values = np.arange(30.0) - 7
    estimate = diagonal(np.diag(values), probes=2)
    np.testing.assert_allclose(estimate.values, values)
    assert np.max(estimate.standard_errors) == 0


@pytest.mark.parametrize("method", METHODS)
def test_the_diagonal_of_zero_is_zero(method):
    estimate = diagonal(np.zeros((30, 30)), method=method, probes=12)
    assert np.max(np.abs(estimate.values)) == 0
    assert np.max(estimate.standard_errors) == 0


@pytest.mark.parametrize("method", METHODS)
def test_as_many_probes_as_rows_are_exact(method):
    for matrix in (np.array([[-2.0]]), symmetric([1, -5, 3, 0])):
        estimate = diagonal(matrix, method=method)
        np.testing.assert_allclose(estimate.values, np.diag(matrix))
        assert np.max(estimate.standard_errors) == 0
        assert estimate.products == len(matrix)


@pytest.mark.parametrize(
    "method, widths", [("hutchinson", [25]), ("xdiag", [12, 12])]
)
def test_probes_share_passes(method, widths):
    operator = CountingOperator(symmetric(SPECTRA["indefinite"]))
    estimate = diagonal(operator, method=method, probes=25)
    assert operator.widths == widths
    assert estimate.products == sum(widths)
    assert str(estimate).endswith(f"{sum(widths)} products")


def test_blocks_of_probes_make_one_mean(monkeypatch):
    # As of an operator with so many rows that few columns fit at once.
    matrix = symmetric(SPECTRA["indefinite"])
    monkeypatch.setattr(
        "keras_curvature.linalg._products._BYTES_AT_ONCE", 60 * 8 * 7
    )
    operator = CountingOperator(matrix)
    estimate = diagonal(operator, probes=25)
    assert operator.widths == [7, 7, 7, 4]
    off = matrix - np.diag(np.diag(matrix))
    expected = np.sqrt(np.mean(off**2) * 60 / 25)
    # 24 degrees of freedom times about 60 entries.
    np.testing.assert_allclose(
        np.sqrt(np.mean(estimate.standard_errors**2)), expected, rtol=0.15
    )
    z = (estimate.values - np.diag(matrix)) / estimate.standard_errors
    assert 0.6 < np.sqrt(np.mean(z**2)) < 1.5


@pytest.mark.parametrize(
    "options, message",
    [
        ({"method": "xtrace"}, "`method` must be one of 'hutchinson', 'xdiag'"),
        ({"probes": 1}, "`probes` must be an integer ≥ 2"),
        ({"method": "xdiag", "probes": 3}, "`probes` must be an integer ≥ 4"),
        ({"seed": -1}, "`seed` must be an integer ≥ 0"),
    ],
)
def test_wrong_arguments_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        diagonal(np.eye(3), **options)
