"""Operators beside matrices that nested tapes write out, in float64."""

import numpy as np
import pytest

from keras_curvature.operators import (
    Fisher,
    GaussNewton,
    GradientCovariance,
    Hessian,
    Jacobian,
)
from tests.operators import models
from tests.operators.models import distance, make
from tests.oracles import difference_product, flat, random_like

# The last batch holds 2 of the 7 samples.
BATCH = 5


@pytest.fixture(params=models.MODELS)
def case(request, float64):
    return make(request.param)


def test_hessian_and_its_diagonal(case, request):
    model, x, y = case
    operator = Hessian(model, x, y, batch_size=BATCH)
    dense = operator.to_dense().numpy()
    if request.node.callspec.id in ("attention", "lstm"):
        # Plain tapes are wrong for normalization, and slow for loops.
        vectors = random_like(model.trainable_variables)
        loss = models.loss_of(model, x, y)
        exact = difference_product(
            loss, model.trainable_variables, vectors, step=1e-4
        )
        assert distance(dense @ flat(vectors), exact) < 1e-8
        exact = dense
    else:
        exact = models.hessian_of(model, x, y)
    assert distance(dense, exact) < 1e-10
    assert distance(operator.diagonal(), np.diag(exact)) < 1e-10


def test_gauss_newton_and_its_diagonal(case, request):
    model, x, y = case
    operator = GaussNewton(model, x, y, batch_size=BATCH)
    exact = models.dense_gauss_newton(model, x)
    vectors = np.random.default_rng(2).normal(size=len(exact))
    assert distance(operator @ vectors, exact @ vectors) < 1e-10
    if request.node.callspec.id != "lstm":
        # A minute of tracing, since loops cannot be vectorized.
        assert distance(operator.diagonal(), np.diag(exact)) < 1e-10


@pytest.fixture
def small(float64):
    return make("residual")


def test_matrices_of_many_layers_are_written_out_twice(small):
    model, x, y = small
    operator = GaussNewton(model, x, y, batch_size=BATCH)
    exact = models.dense_gauss_newton(model, x)
    assert distance(operator.to_dense(), exact) < 1e-10
    assert distance(operator.to_dense(), exact) < 1e-10


def test_jacobian(small):
    model, x, _ = small
    operator = Jacobian(model, x, batch_size=BATCH)
    exact = models.dense_jacobian(model, x)
    exact = exact.reshape(-1, exact.shape[2])
    assert operator.shape == exact.shape
    assert distance(operator.to_dense(), exact) < 1e-10
    assert distance((operator @ np.eye(exact.shape[1])), exact) < 1e-10
    rows = np.random.default_rng(0).normal(size=exact.shape[0])
    assert distance(operator.T @ rows, exact.T @ rows) < 1e-10


def test_empirical_fisher_and_its_diagonal(small):
    model, x, y = small
    operator = Fisher(model, x, y, kind="empirical", batch_size=BATCH)
    gradients = models.sample_gradients(model, x, y)
    exact = gradients.T @ gradients / len(gradients)
    assert distance(operator.to_dense(), exact) < 1e-10
    assert distance(operator.diagonal(), (gradients**2).mean(0)) < 1e-10


@pytest.mark.parametrize("centered", [True, False])
def test_gradient_covariance_and_its_diagonal(small, centered):
    model, x, y = small
    operator = GradientCovariance(
        model, x, y, centered=centered, batch_size=BATCH
    )
    gradients = models.sample_gradients(model, x, y)
    gradients = gradients - centered * gradients.mean(0)
    exact = gradients.T @ gradients / len(gradients)
    assert distance(operator.to_dense(), exact) < 1e-10
    assert distance(operator.diagonal(), np.diag(exact)) < 1e-10


def test_exact_fisher_of_logits_is_the_gauss_newton_matrix(small):
    model, x, y = small
    exact = models.dense_gauss_newton(model, x)
    operator = Fisher(model, x, y, batch_size=BATCH)
    assert distance(operator.to_dense(), exact) < 1e-10
    assert distance(operator.diagonal(), np.diag(exact)) < 1e-10


def test_monte_carlo_fisher_tends_to_the_exact_one(small):
    model, x, y = small
    exact = models.dense_gauss_newton(model, x)
    operator = Fisher(model, x, y, kind="monte_carlo", mc_samples=4000)
    # 28,000 draws: one standard error of an entry is about 0.5 % of the
    # largest.
    assert distance(operator.to_dense(), exact) < 0.03


def test_monte_carlo_draws_do_not_depend_on_the_batch_size(small):
    model, x, y = small
    whole, parts = (
        Fisher(model, x, y, kind="monte_carlo", seed=3, batch_size=size)
        for size in (7, 3)  # and a batch of one
    )
    other = Fisher(model, x, y, kind="monte_carlo", seed=4)
    dense = whole.to_dense().numpy()
    assert distance(parts.diagonal(), np.diag(dense)) < 1e-10
    vector = np.ones(len(dense))
    assert distance(parts @ vector, dense @ vector) < 1e-10
    assert distance(other @ vector, dense @ vector) > 1e-2


def test_batch_normalization_in_training_mode(float64):
    model, x, y = make("cnn")
    before = [v.numpy() for v in model.non_trainable_variables]
    operator = Hessian(model, x, y, training=True)
    vectors = random_like(model.trainable_variables)
    loss = models.loss_of(model, x, y, training=True)
    product = operator @ vectors
    exact = difference_product(loss, model.trainable_variables, vectors)
    assert distance(flat(product), exact) < 1e-8
    # A diagonal of samples alone would be another one.
    newton = GaussNewton(model, x, y, training=True)
    diagonal = np.diag(newton.to_dense())
    assert distance(newton.diagonal(), diagonal) < 1e-10
    model, x, y = make("cnn")
    Hessian(model, x, y, training=True) @ vectors
    after = [v.numpy() for v in model.non_trainable_variables]
    np.testing.assert_equal(after, before)


def test_regularizers_count_once_in_the_hessian(float64):
    model, x, y = make("mlp")
    operator = Hessian(model, x, y, batch_size=2)
    assert abs(operator.loss - float(models.loss_of(model, x, y)())) < 1e-12
    diagonal = operator.diagonal()
    model.layers[0].kernel.regularizer = None
    difference = diagonal - Hessian(model, x, y).diagonal()
    # The factor of "l2" is 0.01, its second derivative 0.02.
    np.testing.assert_allclose(difference[:12], 0.02, atol=1e-12)
    np.testing.assert_allclose(difference[12:], 0.0, atol=1e-12)
