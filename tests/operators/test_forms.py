"""Vectors, sums, blocks, and operators for other libraries."""

import numpy as np
import pytest
import scipy.sparse.linalg
import tensorflow as tf

from keras_curvature.operators import (
    CurvatureOperator,
    Fisher,
    GaussNewton,
    GradientCovariance,
    Hessian,
    Jacobian,
    KroneckerFactored,
)
from tests.operators.models import distance, make

pytestmark = pytest.mark.usefixtures("float64")


class Dense(CurvatureOperator):
    """A given matrix over the weights of a model."""

    def __init__(self, variables, matrix):
        super().__init__(variables)
        self.matrix, self.passes = tf.constant(matrix), 0

    def _matmat(self, matrix):
        self.passes += 1
        return self.matrix @ matrix


@pytest.fixture
def dense(rng):
    variables = make("mlp")[0].trainable_variables
    half = rng.normal(size=(31, 31))
    return Dense(variables, half @ half.T)


def test_vectors_matrices_and_lists(dense, rng):
    matrix = rng.normal(size=(31, 3))
    product = dense.matrix @ matrix
    assert dense.passes == 0
    assert distance(dense @ matrix, product) < 1e-14
    assert dense.passes == 1
    assert distance(dense @ matrix[:, 0], product[:, 0]) < 1e-14
    parts = dense.unflatten(matrix[:, 0])
    assert [p.shape for p in parts] == [v.shape for v in dense.variables]
    assert distance(dense.flatten(dense @ parts), product[:, 0]) < 1e-14
    # Integers, and single precision, are cast.
    assert (dense @ np.ones(31, int)).dtype == tf.float64


@pytest.mark.parametrize(
    "kind",
    [Hessian, GaussNewton, Fisher, GradientCovariance, KroneckerFactored],
    ids=lambda kind: kind.__name__,
)
def test_of_a_model_too_and_of_no_columns(kind, rng):
    operator = kind(*make("shared"))
    n = operator.shape[0]
    dense = operator.to_dense(n)
    for matrix in (rng.normal(size=(n, 2)), rng.normal(size=(n, 1))):
        assert distance(operator @ matrix, dense @ matrix) < 1e-12
        product = operator @ matrix[:, 0]
        assert distance(product, (dense @ matrix)[:, 0]) < 1e-12
        parts = operator @ operator.unflatten(matrix[:, 0])
        assert distance(operator.flatten(parts), product) < 1e-12
    assert (operator @ np.ones((n, 0))).shape == (n, 0)
    inverse = operator.inverse(1.0)
    assert (inverse @ np.ones((n, 0))).shape == (n, 0)


def test_columns_share_a_pass_over_the_data(rng):
    model, x, y = make("mlp")
    passes = []

    def batches():
        passes.append(1)
        yield x, y

    signature = tuple(
        tf.TensorSpec((None, *a.shape[1:]), a.dtype) for a in (x, y)
    )
    data = tf.data.Dataset.from_generator(batches, output_signature=signature)
    operator = Hessian(model, data)
    operator @ rng.normal(size=31)
    # One more for the survey of the data.
    assert len(passes) == 2
    operator @ rng.normal(size=(31, 5))
    assert len(passes) == 3


def test_sums_differences_and_multiples(dense, rng):
    other = Dense(dense.variables, np.diag(np.arange(31.0)))
    combined = 2 * (dense + other) - dense / 4 + -other
    exact = 1.75 * dense.matrix.numpy() + other.matrix.numpy()
    vectors = rng.normal(size=(31, 2))
    assert distance(combined @ vectors, exact @ vectors) < 1e-14
    assert distance(combined.diagonal(), np.diag(exact)) < 1e-14
    assert (
        distance(np.float64(2.0) * dense @ vectors, 2 * dense.matrix @ vectors)
        < 1e-14
    )


def test_blocks_are_parts_of_the_matrix():
    model, x, y = make("mlp")
    name = model.layers[1].name
    whole = Hessian(model, x, y).to_dense().numpy()[16:, 16:]
    for block in (
        Hessian(model, x, y).block(name),
        Hessian(model, x, y, layers=[f"{name}/*"]),
        (Hessian(model, x, y) + Hessian(model, x, y)).block(name) / 2,
    ):
        assert block.shape == (15, 15)
        assert distance(block.to_dense(), whole) < 1e-12


def test_block_of_an_operator_without_its_own(dense):
    name = dense.variables[2].path.split("/")[-2]
    block = dense.block(f"*{name}*")
    assert distance(block.to_dense(), dense.matrix[16:, 16:]) < 1e-14
    assert distance(block.diagonal(), np.diag(dense.matrix)[16:]) < 1e-14


def test_inverse_solves_for_all_columns_together(dense, rng):
    vectors = rng.normal(size=(31, 3))
    damped = dense.matrix + 0.5 * np.eye(31)
    exact = np.linalg.solve(damped, vectors)
    inverse = dense.inverse(0.5, tolerance=1e-12)
    assert distance(inverse @ vectors, exact) < 1e-10
    # As many passes as there are weights, and the check of the residual.
    assert dense.passes < 50
    name = dense.variables[2].path.split("/")[-2]
    block = dense.block(name).inverse(0.5, tolerance=1e-12)
    exact = np.linalg.inv(damped[16:, 16:])
    assert distance(block.to_dense(), exact) < 1e-10
    with pytest.raises(ValueError, match="positive definite"):
        (-dense).inverse() @ vectors
    with pytest.raises(ValueError, match="`damping` must be"):
        dense.inverse(-1.0)


def test_scipy_finds_the_largest_eigenvalue():
    model, x, y = make("mlp")
    operator = GaussNewton(model, x, y)
    (largest,) = scipy.sparse.linalg.eigsh(
        operator.to_scipy(), 1, return_eigenvectors=False, v0=np.ones(31)
    )
    exact = np.linalg.eigvalsh(operator.to_dense())[-1]
    assert abs(largest / exact - 1) < 1e-10


def test_scipy_solves_least_squares_with_a_jacobian(rng):
    model, x, _ = make("mlp")
    jacobian = Jacobian(model, x, batch_size=4)
    right = rng.normal(size=21)
    solution = scipy.sparse.linalg.lsqr(jacobian.to_scipy(), right)[0]
    exact = np.linalg.pinv(jacobian.to_dense()) @ right
    residual = jacobian @ (solution - exact)
    assert np.abs(residual).max() < 1e-4 * np.abs(right).max()


def test_tensorflow_takes_the_operator(dense, rng):
    view = dense.to_linear_operator(is_positive_definite=True)
    right = rng.normal(size=31)
    exact = np.linalg.solve(dense.matrix, right)
    state = tf.linalg.experimental.conjugate_gradient(
        view, tf.constant(right), tol=1e-12, max_iter=500
    )
    assert distance(state.x, exact) < 1e-6
    compiled = tf.function(view.matvec)
    assert distance(compiled(exact), right) < 1e-10
    batch = rng.normal(size=(2, 31, 3))
    assert distance(view.matmul(batch), dense.matrix.numpy() @ batch) < 1e-13
    total = tf.linalg.trace(dense.matrix)
    assert distance([view.trace()], [total]) < 1e-13
    assert distance(view.to_dense(), dense.matrix) < 1e-14
