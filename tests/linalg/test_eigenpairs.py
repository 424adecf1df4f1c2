"""Lanczos against `numpy.linalg.eigh`."""

import warnings

import numpy as np
import pytest

from keras_curvature.linalg import eigenpairs
from tests.linalg.helpers import CountingOperator, symmetric

RANDOM = np.random.default_rng(1).uniform(-1, 1, 80)
SPECTRA = {
    "spread": np.linspace(-3, 2, 60),
    "outliers": np.r_[20, 9, 7, -12, RANDOM],
    "clustered": np.r_[5 + 1e-5 * np.arange(5), RANDOM],
    "repeated": np.r_[5, 5, 5, 3, 3, RANDOM / 10],
    "rank 3": np.r_[3, 2, -1, np.zeros(40)],
    "one value": np.full(12, -2.0),
    "zero": np.zeros(12),
}
WANTED = {
    "largest": lambda values: np.sort(values)[::-1],
    "smallest": np.sort,
    "magnitude": lambda values: values[np.argsort(-np.abs(values))],
    "both": lambda values: np.stack(
        [np.sort(values)[::-1], np.sort(values)], axis=1
    ).ravel(),
}


@pytest.mark.parametrize("which", WANTED)
@pytest.mark.parametrize("spectrum", SPECTRA)
def test_pairs_are_those_of_the_matrix(spectrum, which):
    eigenvalues = SPECTRA[spectrum]
    matrix = symmetric(eigenvalues)
    pairs = eigenpairs(matrix, k=5, which=which)
    expected = WANTED[which](eigenvalues)[:5]
    scale = np.abs(eigenvalues).max()
    np.testing.assert_allclose(pairs.values, expected, atol=1e-11 * scale)
    vectors = pairs.vectors.numpy()
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(5), atol=1e-10)
    left = np.linalg.norm(matrix @ vectors - vectors * pairs.values, axis=0)
    # The bounds hold up to rounding, and are met.
    assert np.all(left <= pairs.residuals + 1e-13 * scale)
    assert pairs.converged.all()
    assert np.all(pairs.residuals <= 1.6e-8 * scale)


def test_a_small_tolerance_tells_small_eigenvalues_apart():
    eigenvalues = 10.0 ** -np.arange(12)
    pairs = eigenpairs(
        symmetric(eigenvalues), k=3, which="smallest", tolerance=1e-14
    )
    # The matrix itself is rounded at 1e-16.
    np.testing.assert_allclose(pairs.values, [1e-11, 1e-10, 1e-9], atol=2e-15)


def test_every_copy_is_found_where_outputs_share_their_curvature():
    # The Hessian of a linear model with 6 outputs and squared errors.
    x = np.random.default_rng(0).standard_normal((60, 30))
    matrix = np.kron(np.eye(6), x.T @ x)
    pairs = eigenpairs(matrix, k=8)
    np.testing.assert_allclose(
        pairs.values, np.linalg.eigvalsh(matrix)[::-1][:8], rtol=1e-12
    )


def test_a_block_as_large_as_k_needs_no_search_for_copies():
    operator = CountingOperator(symmetric(SPECTRA["repeated"]))
    pairs = eigenpairs(operator, k=3, block_size=3)
    np.testing.assert_allclose(pairs.values, [5, 5, 5])
    # Spaces of 3 vectors, each of which knows 5, 3 and a bulk near 0.
    assert pairs.iterations < 8
    assert set(operator.widths) == {3}


def test_a_block_with_no_copy_of_its_size_needs_no_search_either():
    # Two random vectors hold both copies of whatever occurs twice or more.
    operator = CountingOperator(symmetric(SPECTRA["outliers"]))
    pairs = eigenpairs(operator, k=3)
    np.testing.assert_allclose(pairs.values, [20, 9, 7])
    single = CountingOperator(symmetric(SPECTRA["outliers"]))
    eigenpairs(single, k=3, block_size=1)
    assert sum(operator.widths) < sum(single.widths)
    twice = symmetric(np.r_[1.05, 1.05, 1.01, RANDOM])
    for seed in range(20):
        pairs = eigenpairs(twice, k=3, seed=seed)
        np.testing.assert_allclose(pairs.values, [1.05, 1.05, 1.01])


@pytest.mark.parametrize("k", [1, 6])
def test_all_pairs_of_a_small_matrix(k):
    matrix = symmetric(np.arange(k) - 2.0)
    pairs = eigenpairs(matrix, k=k)
    np.testing.assert_allclose(
        pairs.values, np.linalg.eigvalsh(matrix)[::-1], atol=1e-13
    )
    assert pairs.products == k


@pytest.mark.parametrize("size", [20, 31])
def test_a_search_for_copies_ends_where_the_space_does(size):
    # Single precision finds the pairs before the space is exhausted, and fewer
    # directions are left than a search takes.
    eigenvalues = np.r_[np.linspace(-0.4, 0.6, size - 5), np.zeros(5)]
    matrix = symmetric(eigenvalues).astype("float32")
    pairs = eigenpairs(matrix, k=10, basis_size=40)
    expected = np.sort(eigenvalues)[::-1][:10]
    np.testing.assert_allclose(pairs.values, expected, atol=1e-5)


def test_restarts_keep_to_the_basis_size():
    matrix = symmetric(np.linspace(0, 1, 120))
    pairs = eigenpairs(matrix, k=2, basis_size=12)
    np.testing.assert_allclose(pairs.values, [1, 118 / 119], atol=1e-12)
    assert pairs.iterations > 24


def test_float32():
    matrix = symmetric(SPECTRA["outliers"]).astype("float32")
    pairs = eigenpairs(matrix, k=3)
    assert pairs.vectors.dtype == "float32"
    # Float32 rounds to 6e-8; eigenvalues err by residual² / gap.
    np.testing.assert_allclose(pairs.values, [20, 9, 7], rtol=2e-6)


def test_products_are_counted():
    operator = CountingOperator(symmetric(SPECTRA["outliers"]))
    pairs = eigenpairs(operator, k=2, block_size=2)
    assert pairs.iterations == len(operator.widths)
    assert pairs.products == sum(operator.widths)


def test_the_largest_takes_no_more_products_than_scipy():
    sparse = pytest.importorskip("scipy.sparse.linalg")
    matrix = symmetric(SPECTRA["spread"])
    operator, peer = CountingOperator(matrix), CountingOperator(matrix)
    value = eigenpairs(operator).values[0]
    linear = sparse.LinearOperator(
        matrix.shape,
        matvec=lambda v: (peer @ v.reshape(-1, 1)).numpy(),
        dtype="float64",
    )
    other = sparse.eigsh(linear, 1, which="LA", tol=1e-8)[0][0]
    np.testing.assert_allclose(value, other, rtol=1e-12)
    assert sum(operator.widths) <= sum(peer.widths)


def test_a_seed_gives_the_same_numbers():
    matrix = symmetric(SPECTRA["spread"])
    first, again, other = (eigenpairs(matrix, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(first.vectors, again.vectors)
    assert not np.array_equal(first.vectors, other.vectors)


def test_what_has_not_converged_is_marked():
    matrix = symmetric(np.linspace(0, 1, 200))
    with pytest.warns(UserWarning, match="2 of 2 eigenpairs have not conv"):
        pairs = eigenpairs(matrix, k=2, max_iterations=10)
    assert pairs.iterations == 10
    assert not pairs.converged.any()
    assert "not converged" in str(pairs)


def test_too_few_iterations_are_warned_of_or_suffice():
    matrix = symmetric(SPECTRA["repeated"])
    messages = set()
    for max_iterations in range(3, 33, 2):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            pairs = eigenpairs(
                matrix, k=2, max_iterations=max_iterations, block_size=1
            )
        assert pairs.iterations <= max_iterations
        if not caught:
            np.testing.assert_allclose(pairs.values, [5, 5])
        assert pairs.converged.all() == (not caught)
        messages |= {str(warning.message) for warning in caught}
    assert not caught
    assert any("occurs more often" in message for message in messages)


def test_an_isolated_eigenvalue_errs_by_the_square_of_its_residual():
    matrix = symmetric(SPECTRA["outliers"])
    pairs = eigenpairs(matrix, k=3, tolerance=1e-4)
    errors = np.abs(pairs.values - [20, 9, 7])
    gaps = np.array([11, 2, 2])
    # NumPy's eigenvalues of such a matrix are right to n·ε·‖A‖.
    rounding = len(matrix) * np.finfo("float64").eps * 20
    assert np.all(errors <= pairs.residuals**2 / gaps + rounding)
    assert np.all(pairs.residuals <= 2e-3)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"k": 4}, "`k` must be at most the size of the operator, 3. Rec"),
        ({"k": 0}, "`k` must be an integer ≥ 1"),
        ({"which": "top"}, "`which` must be one of 'largest', 'smallest'"),
        ({"tolerance": 0.0}, "`tolerance` must be a finite number > 0"),
        ({"k": 3, "max_iterations": 1}, "must allow at least `k`=3 products"),
        ({"block_size": 0}, "`block_size` must be an integer ≥ 1"),
        ({"basis_size": 0}, "`basis_size` must be an integer ≥ 1"),
        ({"seed": -1}, "`seed` must be an integer ≥ 0"),
    ],
)
def test_wrong_arguments_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        eigenpairs(np.diag([1.0, 2.0, 3.0]), **options)
