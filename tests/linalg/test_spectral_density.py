"""Stochastic Lanczos quadrature against known spectra."""

import numpy as np
import pytest
import tensorflow as tf

from keras_curvature.linalg import spectral_density
from keras_curvature.linalg._probes import Probes
from tests.linalg.helpers import CountingOperator, symmetric

RANDOM = np.random.default_rng(3).uniform(-1, 1, 60)
SPECTRA = {
    "indefinite": RANDOM,
    "clustered": np.r_[5 + 1e-6 * np.arange(4), RANDOM / 10],
    "rank 3": np.r_[3, 2, -1, np.zeros(40)],
    "one value": np.full(12, -2.0),
    "zero": np.zeros(12),
    "one row": np.array([4.0]),
}


@pytest.fixture(scope="module", params=SPECTRA)
def spectrum(request):
    eigenvalues = SPECTRA[request.param]
    matrix = symmetric(eigenvalues)
    # As many steps as rows, so that the space closes on the way.
    return eigenvalues, spectral_density(matrix, steps=60, runs=40)


def test_weights_sum_to_one(spectrum):
    _, found = spectrum
    np.testing.assert_allclose(found.weights.sum(axis=1), 1, rtol=1e-12)
    assert found.weights.min() >= 0


def test_nodes_lie_within_the_spectrum(spectrum):
    eigenvalues, found = spectrum
    assert found.nodes.max() <= eigenvalues.max() + 1e-10
    assert found.nodes.min() >= eigenvalues.min() - 1e-10


@pytest.mark.parametrize("name", ["rank 3", "one value", "zero", "one row"])
def test_a_space_that_closes_knows_its_eigenvalues(name):
    eigenvalues = SPECTRA[name]
    found = spectral_density(symmetric(eigenvalues), steps=30, runs=4)
    heavy = found.nodes[found.weights > 1e-6]
    distances = np.abs(heavy[:, np.newaxis] - eigenvalues).min(axis=1)
    assert distances.max() < 1e-10


@pytest.mark.parametrize(
    "function", [np.exp, np.square, np.sign], ids=lambda f: f.__name__
)
def test_traces_of_functions_are_within_their_standard_errors(
    spectrum, function
):
    eigenvalues, found = spectrum
    if function is np.sign:
        # Beside 0, where the sign jumps by rounding.
        function = lambda v: np.sign(v - 0.004)  # noqa: E731
    estimate = found.trace_of(function)
    expected = np.sum(function(eigenvalues))
    rounding = 1e-10 * len(eigenvalues) * np.exp(5)
    error = abs(estimate.value - expected)
    assert error < 4 * estimate.standard_error + rounding
    # Var zᵀf(A)z = 2·Σf² − 2/n·(Σf)², a little less, for z of length √n.
    values = function(eigenvalues)
    variance = 2 * np.sum((values - values.mean()) ** 2) / 40
    # √(2/39) is the noise of the variance of 40 numbers.
    np.testing.assert_allclose(
        estimate.standard_error**2, variance, rtol=1, atol=rounding**2
    )


def test_a_few_steps_are_exact_for_polynomials():
    matrix = symmetric(RANDOM)
    found = spectral_density(matrix, steps=4, runs=3, seed=7)
    start = Probes(7, 60, tf.float64).spherical(3).numpy()
    # Gauss's quadrature with 4 nodes: degree 7.
    for degree in range(8):
        power = np.linalg.matrix_power(matrix, degree)
        np.testing.assert_allclose(
            np.sum(found.weights * found.nodes**degree, axis=1),
            np.einsum("ir,ij,jr->r", start, power, start) / 60,
            atol=1e-13,
        )


def test_the_density_integrates_to_one_and_is_where_eigenvalues_are(spectrum):
    eigenvalues, found = spectrum
    grid = found.grid(points=2001)
    density = found.density(grid)
    integral = np.sum(density) * (grid[1] - grid[0])
    np.testing.assert_allclose(integral, 1, rtol=1e-3)
    gaussians = np.exp(
        -((grid[:, np.newaxis] - eigenvalues) ** 2) / (2 * found.width**2)
    ).mean(axis=1) / (found.width * np.sqrt(2 * np.pi))
    # Each run errs by √(2/n) of an entry's weight; there are 40.
    spread = found.densities(grid).std(axis=0) / 40**0.5
    assert np.all(np.abs(density - gaussians) < 6 * spread + 1e-3)


def test_runs_share_passes():
    operator = CountingOperator(symmetric(RANDOM))
    found = spectral_density(operator, steps=7, runs=5)
    assert operator.widths == [5] * 7
    assert found.products == 35
    assert found.nodes.shape == found.weights.shape == (5, 7)
    assert "from 5 runs of 7 steps" in str(found)


def test_float32():
    matrix = symmetric(RANDOM)
    single = spectral_density(matrix.astype("float32"), steps=30, runs=3)
    np.testing.assert_allclose(single.weights.sum(axis=1), 1, rtol=1e-6)
    squares = single.trace_of(np.square)
    assert abs(squares.value - np.sum(RANDOM**2)) < 4 * squares.standard_error


def test_a_single_run_has_no_standard_error():
    found = spectral_density(symmetric(RANDOM), steps=5, runs=1)
    assert np.isnan(found.trace_of(np.exp).standard_error)


@pytest.mark.parametrize("name", ["steps", "runs"])
def test_wrong_arguments_are_named(name):
    with pytest.raises(ValueError, match=f"`{name}` must be an integer ≥ 1"):
        spectral_density(np.eye(3), **{name: 0})


def test_a_width_that_is_not_positive_is_refused():
    found = spectral_density(np.eye(3), steps=2, runs=2)
    with pytest.raises(ValueError, match="`width` must be a finite number > 0"):
        found.density([1.0], width=0.0)
