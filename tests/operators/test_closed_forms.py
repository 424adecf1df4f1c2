"""Operators of linear models, whose matrices are known."""

import keras
import numpy as np
import pytest

from keras_curvature.linalg.inverse_cholesky import whole
from keras_curvature.operators import (
    Fisher,
    GaussNewton,
    GradientCovariance,
    Hessian,
    Jacobian,
)
from tests.operators.models import distance

pytestmark = pytest.mark.usefixtures("float64")


def linear(rng, outputs=1, samples=9, inputs=3):
    model = keras.Sequential(
        [keras.Input((inputs,)), keras.layers.Dense(outputs, use_bias=False)]
    )
    return model, rng.normal(size=(samples, inputs))


def test_linear_model_with_squared_error(rng):
    model, x = linear(rng)
    y, weights = rng.normal(size=(9, 1)), rng.uniform(0.5, 2, 9)
    exact = 2 * (x * weights[:, None]).T @ x / 9
    for kind in (Hessian, GaussNewton, Fisher):
        operator = kind(model, x, y, weights, loss="mse", batch_size=4)
        assert distance(operator.to_dense(), exact) < 1e-14, kind
        assert distance(operator.diagonal(), np.diag(exact)) < 1e-14, kind
    assert distance(Jacobian(model, x).to_dense(), x) < 1e-14


def test_sample_weights_of_the_empirical_fisher_and_the_covariance(rng):
    model, x = linear(rng)
    y, weights = rng.normal(size=(9, 1)), rng.uniform(0.5, 2, 9)
    gradients = 2 * (x @ model.get_weights()[0] - y) * x
    data = (model, x, y, weights)
    fisher = Fisher(*data, kind="empirical", loss="mse", batch_size=4)
    exact = (gradients * weights[:, None]).T @ gradients / 9
    assert distance(fisher.to_dense(), exact) < 1e-13
    noise = GradientCovariance(*data, loss="mse", batch_size=4)
    exact = np.cov((gradients * weights[:, None]).T, bias=True)
    assert distance(noise.to_dense(), exact) < 1e-13


# The matrix of the second comes in several block rows.
@pytest.mark.parametrize("inputs", [3, 100])
def test_softmax_regression(inputs, rng):
    model, x = linear(rng, outputs=3, inputs=inputs)
    y = rng.integers(0, 3, 9)
    logits = x @ model.get_weights()[0]
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    blocks = p[:, :, None] * np.eye(3) - p[:, :, None] * p[:, None]
    exact = np.einsum("ni,nj,nab->iajb", x, x, blocks) / 9
    exact = exact.reshape(3 * inputs, -1)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    for kind in (Hessian, GaussNewton, Fisher):
        operator = kind(model, x, y, loss=loss, batch_size=4)
        assert distance(operator.to_dense(), exact) < 1e-13, kind
    rows = GaussNewton(model, x, y, loss=loss, batch_size=4).to_lower_rows()
    assert len(rows) == (2 if inputs == 100 else 1)
    assert distance(whole(rows), exact) < 1e-13


def test_centered_covariance_in_rows(rng):
    model, x = linear(rng)
    y = rng.normal(size=(9, 1))
    gradients = 2 * (x @ model.get_weights()[0] - y) * x
    noise = GradientCovariance(model, x, y, loss="mse", batch_size=4)
    exact = np.cov(gradients.T, bias=True)
    assert distance(whole(noise.to_lower_rows()), exact) < 1e-13


def test_rows_must_be_finite(rng):
    model, x = linear(rng)
    x[0, 1] = 1e200
    operator = GaussNewton(model, x, 0 * x[:, :1], loss="mse")
    with pytest.raises(ValueError, match="finite"):
        operator.to_lower_rows()


def test_exact_fisher_of_rates(rng):
    model, x = linear(rng)
    model.layers[0].kernel.assign(np.full((3, 1), 0.1))
    x = np.abs(x)
    rate = x @ model.get_weights()[0]
    fisher = Fisher(model, x, rng.poisson(1.0, (9, 1)), loss="poisson")
    # Keras adds 1e-7 to the rate under the logarithm.
    exact = (x / (rate + 1e-7)).T @ x / 9
    assert distance(fisher.to_dense(), exact) < 1e-13


@pytest.mark.parametrize("reduction", ["sum", "mean_with_sample_weight"])
def test_reductions_count_all_data_as_one_batch(rng, reduction):
    model, x = linear(rng)
    y, weights = rng.normal(size=(9, 1)), rng.uniform(0.5, 2, 9)
    loss = keras.losses.MeanSquaredError(reduction=reduction)
    operator = Hessian(model, x, y, weights, loss=loss, batch_size=4)
    total = 1.0 if reduction == "sum" else weights.sum()
    exact = 2 * (x * weights[:, None]).T @ x / total
    assert distance(operator.to_dense(), exact) < 1e-14
    errors = (x @ model.get_weights()[0] - y)[:, 0]
    assert abs(operator.loss / ((weights @ errors**2) / total) - 1) < 1e-13
    assert operator.samples == 9


def test_several_outputs_with_loss_weights(rng):
    inputs = keras.Input((3,))
    outputs = [keras.layers.Dense(k, use_bias=False)(inputs) for k in (1, 2)]
    model = keras.Model(inputs, outputs)
    x = rng.normal(size=(9, 3))
    y = [rng.normal(size=(9, 1)), rng.normal(size=(9, 2))]
    data = {"loss": ["mse", "mse"], "loss_weights": [1.0, 3.0]}
    gram = x.T @ x / 9
    exact = np.zeros((9, 9))
    exact[:3, :3] = 2 * gram
    # The mean over two columns, times 3, for each of them.
    exact[3:, 3:] = 3 * np.kron(gram, np.eye(2))
    for kind in (Hessian, GaussNewton):
        operator = kind(model, x, y, batch_size=4, **data)
        assert distance(operator.to_dense(), exact) < 1e-14, kind
        assert distance(operator.diagonal(), np.diag(exact)) < 1e-14, kind
    jacobian = Jacobian(model, x, batch_size=4).to_dense().numpy()
    jacobian = jacobian.reshape(9, 3, 9)
    assert distance(jacobian[:, 0, :3], x) < 1e-14
    assert distance(jacobian[:, 2, 4::2], x) < 1e-14
