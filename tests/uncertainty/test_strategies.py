"""On several replicas uncertainty is that of one device."""

import keras
import numpy as np
import pytest

from keras_curvature.diagnostics import loss_landscape
from keras_curvature.uncertainty import (
    ElasticWeightConsolidation,
    Laplace,
    influence,
    parameter_covariance,
    self_influence,
)

pytestmark = pytest.mark.usefixtures("float64")
RNG = np.random.default_rng(0)
# Batches of 3, 3 and 1 of the 7 samples: parts of 1, of 2, and none.
X, LABELS = RNG.normal(size=(7, 3)), RNG.integers(0, 3, 7)


def classifier():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(5, activation="tanh"),
            keras.layers.Dense(3),
        ]
    )
    model.compile(
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    return model


def posterior(structure, model):
    laplace = Laplace(model, structure=structure).fit(X, LABELS, batch_size=3)
    return [
        laplace.log_marginal_likelihood(),
        laplace.predict(X[:4]).probabilities,
    ]


def consolidated(model):
    consolidation = ElasticWeightConsolidation()
    consolidation.consolidate(model, X, LABELS, batch_size=3)
    for variable in model.trainable_variables:
        variable.assign_add(0.1 + 0 * variable)
    return [consolidation.penalty()]


CASES = {
    "full": lambda model: posterior("full", model),
    "kron": lambda model: posterior("kron", model),
    "diagonal": lambda model: posterior("diagonal", model),
    "influence": lambda model: [
        influence(model, X, LABELS, X[:2], LABELS[:2], damping=0.1),
        self_influence(model, X, LABELS, damping=0.1, batch_size=3),
    ],
    "consolidation": consolidated,
    "landscape": lambda model: [
        loss_landscape(
            *(model, X, LABELS),
            directions=np.cos(np.arange(model.count_params())),
            points=3,
            batch_size=3,
        ).losses
    ],
}


@pytest.mark.parametrize("case", CASES)
def test_results_are_those_of_one_device(case, mirrored_strategy):
    alone = CASES[case](classifier())
    with mirrored_strategy.scope():
        model = classifier()
    for one, other in zip(alone, CASES[case](model), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-9)


def test_standard_errors_are_those_of_one_device(mirrored_strategy):
    def line():
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
        model.compile(loss="mse")
        return model

    x = RNG.normal(size=(35, 3))
    y = np.concatenate([x, np.ones((35, 1))], axis=1)
    weights = np.linalg.lstsq(y, noisy := RNG.normal(size=(35, 2)))[0]
    with mirrored_strategy.scope():
        mirrored = line()
    errors = []
    for model in (line(), mirrored):
        model.set_weights([weights[:3], weights[3]])
        errors.append(
            parameter_covariance(model, x, noisy, batch_size=4).standard_errors
        )
    np.testing.assert_allclose(errors[1], errors[0], rtol=1e-9)
