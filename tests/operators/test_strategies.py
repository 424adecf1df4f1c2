"""On several replicas operators are those of one device."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_curvature.operators import (
    Fisher,
    GaussNewton,
    GradientCovariance,
    Hessian,
    Jacobian,
    KroneckerFactored,
    triangular_factor,
)
from tests.operators.models import distance, make

pytestmark = pytest.mark.usefixtures("float64")

# Batches of 3, 3 and 1 of the 7 samples: parts of 1, of 2, and none.
OPTIONS = {"batch_size": 3}


def pair(name, strategy):
    """The same model on one device and on all replicas, and its data."""
    model, x, y = make(name)
    with strategy.scope():
        mirrored, _, _ = make(name)
    mirrored.set_weights(model.get_weights())
    return model, mirrored, x, y


def operators(matrix, name, strategy, *weights, **options):
    *models, x, y = pair(name, strategy)
    return [matrix(m, x, y, *weights, **OPTIONS, **options) for m in models]


@pytest.mark.parametrize("kind", [Hessian, GaussNewton])
def test_products_are_those_of_one_device(kind, mirrored_strategy, rng):
    weights = rng.uniform(0.5, 2, 7)
    alone, together = operators(kind, "mlp", mirrored_strategy, weights)
    matrix = rng.normal(size=(31, 2))
    assert distance(together @ matrix, alone @ matrix) < 1e-12
    vector = matrix[:, 0]
    assert distance(together @ vector, alone @ vector) < 1e-12
    assert abs(together.loss - alone.loss) < 1e-12


@pytest.mark.parametrize("kind", ["monte_carlo", "empirical"])
def test_fisher_is_that_of_one_device(kind, mirrored_strategy, rng):
    alone, together = operators(
        Fisher, "mlp", mirrored_strategy, rng.uniform(0.5, 2, 7), kind=kind
    )
    assert distance(together.diagonal(), alone.diagonal()) < 1e-12
    if kind == "empirical":
        assert distance(together.to_dense(), alone.to_dense()) < 1e-12


def test_models_with_state_and_several_inputs_too(mirrored_strategy, rng):
    for name in ("cnn", "residual"):
        alone, together = operators(Hessian, name, mirrored_strategy)
        vector = rng.normal(size=alone.shape[0])
        assert distance(together @ vector, alone @ vector) < 1e-12


def test_a_mean_is_that_of_all_replicas(mirrored_strategy):
    alone, together = operators(GradientCovariance, "mlp", mirrored_strategy)
    assert distance(together.diagonal(), alone.diagonal()) < 1e-12


def test_rows_of_jacobian_stay_in_the_order_of_the_data(mirrored_strategy, rng):
    *models, x, _ = pair("mlp", mirrored_strategy)
    alone, together = (Jacobian(m, x, **OPTIONS) for m in models)
    assert together.shape == alone.shape
    vector = rng.normal(size=31)
    assert distance(together @ vector, alone @ vector) < 1e-12
    rows = rng.normal(size=(21, 2))
    assert distance(together.T @ rows, alone.T @ rows) < 1e-12


def test_kronecker_factors_are_those_of_one_device(mirrored_strategy):
    alone, together = operators(
        KroneckerFactored, "mlp", mirrored_strategy, fisher="monte_carlo"
    )
    for ours, theirs in zip(together.factors, alone.factors, strict=True):
        assert distance(ours.inputs, theirs.inputs) < 1e-12
        assert distance(ours.outputs, theirs.outputs) < 1e-12


def test_a_triangular_factor_is_that_of_one_device(mirrored_strategy):
    alone, together = (
        triangular_factor(operator).factor
        for operator in operators(GaussNewton, "mlp", mirrored_strategy)
    )
    assert distance(together.T @ together, alone.T @ alone) < 1e-12


def test_a_model_is_built_in_the_scope_it_was_made_in(mirrored_strategy):
    with mirrored_strategy.scope():
        model = keras.Sequential([keras.layers.Dense(2)])
    x, y = np.eye(4, 3), np.ones((4, 2))
    matrix = Hessian(model, x, y, loss="mse").to_dense()
    inputs = np.concatenate(
        [np.kron(x, np.eye(2)), np.tile(np.eye(2), (4, 1))], 1
    )
    assert distance(matrix, 2 * inputs.T @ inputs / 8) < 1e-12


def test_what_cannot_be_split_is_refused(mirrored_strategy):
    _, model, x, y = pair("cnn", mirrored_strategy)
    with pytest.raises(ValueError, match="`training` must be False on several"):
        Hessian(model, x, y, training=True)
    whole = Hessian(
        model, x, y, loss=lambda y, outputs: tf.reduce_mean(outputs**2)
    )
    with pytest.raises(ValueError, match="value for each sample on several"):
        whole @ np.ones(whole.shape[0])
    with pytest.raises(ValueError, match="`jit_compile` must be False on"):
        Hessian(model, x, y, jit_compile=True)
    alone, x, y = make("mlp")
    refused = pytest.raises(ValueError, match="in the scope of the strategy")
    with mirrored_strategy.scope(), refused:
        Hessian(alone, x, y)
