"""Kronecker-factored matrices as curvlinops has them."""

import pathlib

import keras
import numpy as np
import pytest

from keras_curvature.operators import KroneckerFactored

L = keras.layers
PEERS = np.load(pathlib.Path(__file__).parent / "peers" / "matrices.npz")
FISHERS = {"type-2": "exact", "empirical": "empirical"}
NETWORKS = {
    "convolution": (
        lambda: [L.Conv2D(3, 2, strides=2, activation="tanh"), L.Flatten()],
        (5, 4, 2),
    ),
    "positions": (
        lambda: [L.Dense(3, "tanh"), L.GlobalAveragePooling1D()],
        (6, 4),
    ),
}


@pytest.fixture(scope="module")
def networks():
    """Each network with curvlinops's weights."""
    policy, floatx = keras.config.dtype_policy(), keras.config.floatx()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    models = {}
    for name, (layers, shape) in NETWORKS.items():
        model = keras.Sequential([keras.Input(shape), *layers(), L.Dense(3)])
        model.set_weights([PEERS[f"{name}/weights/{k}"] for k in range(4)])
        models[name] = model
    keras.config.set_floatx(floatx)
    keras.config.set_dtype_policy(policy)
    return models


# Not the empirical one of squares: curvlinops adds up the entries of a row
# where Keras takes their mean.
@pytest.mark.parametrize(
    "key", [key for key in PEERS.files if key.count("/") == 3]
)
def test_is_the_matrix_of_curvlinops(key, networks, float64):
    network, loss, fisher, sharing = key.split("/")
    losses = {
        "crossentropy": keras.losses.SparseCategoricalCrossentropy(
            from_logits=True
        ),
        "mse": "mse",
    }
    operator = KroneckerFactored(
        networks[network],
        PEERS[f"{network}/x"],
        PEERS[f"{loss}/y"],
        loss=losses[loss],
        fisher=FISHERS[fisher],
        sharing=sharing,
    )
    np.testing.assert_allclose(
        operator.to_dense(), PEERS[key], rtol=1e-8, atol=1e-14
    )
