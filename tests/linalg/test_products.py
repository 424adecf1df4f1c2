"""What every algorithm on products takes as an operator, and refuses."""

import numpy as np
import pytest
import tensorflow as tf

from keras_curvature import linalg
from tests.linalg.helpers import CountingOperator, symmetric

MATRIX = symmetric(np.linspace(1, 3, 20))
ALGORITHMS = {
    "eigenpairs": lambda a: linalg.eigenpairs(a, k=2).values,
    "trace": lambda a: linalg.trace(a, probes=8).value,
    "diagonal": lambda a: linalg.diagonal(a, probes=8).values,
    "spectral_density": lambda a: (
        linalg.spectral_density(a, steps=4, runs=3).nodes
    ),
    "log_determinant": lambda a: (
        linalg.log_determinant(a, steps=4, runs=3).value
    ),
    "frobenius_norm": lambda a: linalg.frobenius_norm(a, probes=8).value,
    "spectral_norm": linalg.spectral_norm,
    "condition_number": lambda a: linalg.condition_number(a).value,
    "conjugate_gradient": lambda a: (
        linalg.conjugate_gradient(a, tf.ones(a.shape[0], a.dtype)).solution
    ),
}


class Operator:
    """A function of columns, as an operator."""

    def __init__(self, function, size=20, dtype="float64"):
        self.shape, self.dtype = (size, size), dtype
        self._function = function

    def __matmul__(self, vectors):
        return self._function(vectors)


def scipy_operator():
    sparse = pytest.importorskip("scipy.sparse.linalg")
    return sparse.aslinearoperator(MATRIX)


def sparse_matrix():
    return pytest.importorskip("scipy.sparse").csr_array(MATRIX)


@pytest.mark.parametrize(
    "make",
    [
        lambda: tf.constant(MATRIX),
        lambda: tf.Variable(MATRIX),
        lambda: tf.linalg.LinearOperatorFullMatrix(MATRIX),
        lambda: CountingOperator(MATRIX),
        scipy_operator,
        sparse_matrix,
    ],
    ids=["tensor", "variable", "tf.linalg", "own", "scipy", "sparse"],
)
def test_kinds_of_operators_give_the_same_numbers(make):
    for name in ("eigenpairs", "trace", "conjugate_gradient"):
        np.testing.assert_allclose(
            ALGORITHMS[name](make()), ALGORITHMS[name](MATRIX), rtol=1e-12
        )


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_product_that_is_not_finite_is_refused(name):
    operator = Operator(lambda v: MATRIX @ v * np.nan)
    with pytest.raises(ValueError, match="must be finite"):
        ALGORITHMS[name](operator)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_nonsymmetric_operator_is_refused(name):
    operator = Operator(lambda v: (MATRIX + np.eye(20, k=1)) @ v)
    with pytest.raises(ValueError, match="must be symmetric and the same"):
        ALGORITHMS[name](operator)


def test_an_operator_that_changes_is_refused():
    draws = np.random.default_rng(0)
    operator = Operator(lambda v: MATRIX @ v * draws.uniform(0.5, 1.5))
    with pytest.raises(ValueError, match="dropout"):
        linalg.eigenpairs(operator)


def test_rounding_is_no_asymmetry():
    # Directions of large and of tiny curvature, in float32.
    matrix = symmetric(np.r_[1e4, 1e-3 * np.ones(200)]).astype("float32")
    operator = CountingOperator(matrix)
    for name in ("trace", "diagonal", "spectral_density", "frobenius_norm"):
        assert np.all(np.isfinite(ALGORITHMS[name](operator)))
    linalg.eigenpairs(operator, k=3, which="magnitude")


def test_sums_of_columns_may_have_no_image():
    # As over the classes of a softmax, which no loss feels.
    halves = np.kron(np.eye(2), np.ones((6, 1))) / np.sqrt(6)
    rest = np.eye(12) - halves @ halves.T
    matrix = rest @ symmetric(np.linspace(1, 2, 12)) @ rest
    found = linalg.trace(CountingOperator(matrix), probes=12)
    np.testing.assert_allclose(found.value, np.trace(matrix), rtol=1e-12)


@pytest.mark.parametrize(
    "operator, error, message",
    [
        (
            np.ones((2, 3)),
            ValueError,
            r"must be square.*Received: shape \(2, 3",
        ),
        (np.ones((0, 0)), ValueError, "n ≥ 1"),
        (np.ones((2, 2), "int32"), ValueError, "float64. Received: int32"),
        (np.triu(np.ones((3, 3))), ValueError, "from its transpose by up to 1"),
        ("matrix", TypeError, "Received: str, without shape"),
        (Operator(lambda v: v[:3]), ValueError, r"Received: \(3, 20\) for v"),
        (
            Operator(lambda v: tf.cast(v, "float32")),
            ValueError,
            "dtype of the operator, float64. Received: float32",
        ),
    ],
)
def test_what_is_no_operator_is_refused(operator, error, message):
    with pytest.raises(error, match=message):
        linalg.trace(operator)
