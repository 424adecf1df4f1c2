"""Laplace posteriors against those of laplace-torch, on the same weights."""

import pathlib

import keras
import numpy as np
import pytest

from keras_curvature.uncertainty import Laplace

PEERS = pathlib.Path(__file__).parent / "peers" / "laplace.npz"
# As generate_laplace.py sets them.
PRIOR, NOISE, PREDICTED = 0.7, 0.3, 8
LOSSES = {
    "regression": "mse",
    "classification": keras.losses.SparseCategoricalCrossentropy(
        from_logits=True
    ),
}
STRUCTURES = {
    "full": {"structure": "full"},
    "diagonal": {"structure": "diagonal"},
    "kron": {"structure": "kron"},
    "last_layer": {"structure": "full", "weights": "last_layer"},
}


@pytest.fixture(scope="module")
def peers():
    with np.load(PEERS) as file:
        return dict(file)


def model_of(peers, kind):
    weights = []
    while (name := f"{kind}/weights/{len(weights)}") in peers:
        weights.append(peers[name])
    model = keras.Sequential([keras.Input((len(weights[0]),))])
    for bias in weights[1:-1:2]:
        model.add(keras.layers.Dense(len(bias), activation="tanh"))
    model.add(keras.layers.Dense(len(weights[-1])))
    model.set_weights(weights)
    model.compile(loss=LOSSES[kind])
    return model


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("kind", LOSSES)
def test_posterior_is_that_of_laplace_torch(kind, structure, peers, float64):
    model = model_of(peers, kind)
    laplace = Laplace(
        model, prior_precision=PRIOR, noise=NOISE, **STRUCTURES[structure]
    )
    x = peers[f"{kind}/x"]
    laplace.fit(x, peers[f"{kind}/y"])

    def theirs(name):
        return peers[f"{kind}/{structure}/{name}"]

    np.testing.assert_allclose(
        laplace.log_marginal_likelihood(), theirs("evidence"), rtol=1e-6
    )
    x = x[:PREDICTED]
    prediction = laplace.predict(x)
    np.testing.assert_allclose(prediction.mean, theirs("mean"), rtol=1e-6)
    np.testing.assert_allclose(
        prediction.covariance, theirs("covariance"), rtol=1e-6, atol=1e-9
    )
    if kind == "classification":
        for link in ("probit", "bridge"):
            np.testing.assert_allclose(
                laplace.predict(x, link=link).probabilities,
                theirs(link),
                rtol=1e-6,
            )
