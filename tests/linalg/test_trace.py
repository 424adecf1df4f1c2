"""Estimates of traces against the sum of known eigenvalues."""

import numpy as np
import pytest

from keras_curvature.linalg import TraceEstimate, trace
from tests.linalg.helpers import CountingOperator, symmetric

METHODS = ("hutchinson", "hutch++", "xtrace")
RANDOM = np.random.default_rng(2).uniform(-1, 1, 60)
SPECTRA = {
    "decaying": 100 * 2.0 ** -np.arange(60),
    "indefinite": RANDOM,
    "clustered": np.r_[5 + 1e-6 * np.arange(4), RANDOM / 10],
}


@pytest.fixture(scope="module", params=SPECTRA)
def spectrum(request):
    """A name, a matrix, and 40 estimates by each method."""
    matrix = symmetric(SPECTRA[request.param])
    return (
        request.param,
        matrix,
        {
            method: [
                trace(matrix, method=method, probes=24, seed=seed)
                for seed in range(40)
            ]
            for method in METHODS
        },
    )


@pytest.mark.parametrize("method", METHODS)
def test_estimates_are_unbiased(spectrum, method):
    _, matrix, estimates = spectrum
    errors = [e.value - np.trace(matrix) for e in estimates[method]]
    # Of a right estimator, one seed in 15,000 would fail.
    deviation = np.std(errors, ddof=1) / len(errors) ** 0.5
    assert abs(np.mean(errors)) < 4 * deviation


def test_hutchinson_has_the_variance_of_the_theory(spectrum):
    _, matrix, estimates = spectrum
    # Var zᵀAz = 2·Σᵢ≠ⱼ aᵢⱼ².
    off = matrix - np.diag(np.diag(matrix))
    expected = np.sqrt(2 * np.sum(off**2) / 24)
    found = [e.standard_error for e in estimates["hutchinson"]]
    # 40·23 degrees of freedom: their mean square is within 20 %.
    np.testing.assert_allclose(np.mean(np.square(found)), expected**2, rtol=0.2)


@pytest.mark.parametrize("method", METHODS[:2])
def test_standard_errors_are_those_of_the_errors(spectrum, method):
    _, matrix, estimates = spectrum
    errors = [e.value - np.trace(matrix) for e in estimates[method]]
    ratio = np.mean(np.square(errors)) / np.mean(
        [e.standard_error**2 for e in estimates[method]]
    )
    # χ² of 40 degrees of freedom, 4 standard deviations of √(2/40) wide.
    assert 0.25 < ratio < 1.9


def test_sketches_know_decaying_eigenvalues_better(spectrum):
    name, matrix, estimates = spectrum
    rms = {
        method: np.sqrt(
            np.mean([(e.value - np.trace(matrix)) ** 2 for e in found])
        )
        for method, found in estimates.items()
    }
    if name == "decaying":
        # After 8 and 12 vectors, 100·2⁻⁸ and 100·2⁻¹² are left.
        assert 10 * rms["hutch++"] < rms["hutchinson"]
        assert 4 * rms["xtrace"] < rms["hutch++"]
    if name == "clustered":
        assert 2 * rms["xtrace"] < rms["hutchinson"]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("method", METHODS[1:])
def test_sketches_are_exact_for_low_ranks(method, dtype):
    matrix = symmetric(np.r_[3, 2, -4, np.zeros(50)]).astype(dtype)
    estimate = trace(matrix, method=method, probes=18)
    rounding = 20 * np.finfo(dtype).eps
    np.testing.assert_allclose(estimate.value, 1, atol=rounding)
    assert estimate.standard_error < rounding


@pytest.mark.parametrize("method", METHODS)
def test_the_trace_of_zero_is_zero(method):
    estimate = trace(np.zeros((30, 30)), method=method, probes=12)
    assert estimate[:2] == (0, 0)


@pytest.mark.parametrize("method", METHODS)
def test_as_many_probes_as_rows_are_exact(method):
    for matrix in (np.array([[-2.0]]), symmetric([1, -5, 3, 0])):
        estimate = trace(matrix, method=method)
        np.testing.assert_allclose(estimate.value, np.trace(matrix))
        assert estimate.standard_error == 0
        assert estimate.products == len(matrix)


@pytest.mark.parametrize(
    "method, widths",
    [
        ("hutchinson", [25]),
        # A third for the range, a third there, the rest beside it.
        ("hutch++", [8, 8, 9]),
        ("xtrace", [12, 12]),
    ],
)
def test_probes_share_passes(method, widths):
    operator = CountingOperator(symmetric(RANDOM))
    estimate = trace(operator, method=method, probes=25)
    assert operator.widths == widths
    assert estimate.products == sum(widths)


def test_a_seed_gives_the_same_numbers():
    matrix = symmetric(RANDOM)
    first, again, other = (trace(matrix, probes=9, seed=s) for s in (1, 1, 2))
    assert first == again
    assert first.value != other.value


def test_an_estimate_is_a_number_and_a_line():
    estimate = TraceEstimate(2.5, 0.125, 10)
    assert float(estimate) == 2.5
    assert str(estimate) == "2.5 ± 0.12, 10 products"


@pytest.mark.parametrize(
    "options, message",
    [
        ({"method": "hutch"}, "one of 'hutchinson', 'hutch..', 'xtrace'"),
        ({"probes": 1}, "`probes` must be an integer ≥ 2"),
        ({"method": "hutch++", "probes": 5}, "`probes` must be an integer ≥ 6"),
        ({"method": "xtrace", "probes": 3}, "`probes` must be an integer ≥ 4"),
        ({"seed": 0.5}, "`seed` must be an integer"),
    ],
)
def test_wrong_arguments_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        trace(np.eye(3), **options)
