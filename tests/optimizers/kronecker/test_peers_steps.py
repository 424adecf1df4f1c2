"""Steps and factors of K-FAC as kfac-jax has them."""

import pathlib

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose

from keras_curvature.optimizers import KFAC
from tests.optimizers.helpers import fit

L = keras.layers
PEERS = np.load(pathlib.Path(__file__).parent / "peers" / "steps.npz")
LAYERS = {
    "dense": lambda: [L.Dense(5, "tanh")],
    "convolution": lambda: [
        L.Conv2D(3, 2, strides=2, activation="tanh"),
        L.Flatten(),
    ],
}
CASES = sorted({key.rpartition("/")[0] for key in PEERS if key.count("/") == 2})
WEIGHTS = [f"{name}{k}" for k in range(2) for name in ("kernel", "bias")]


@pytest.mark.parametrize("case", CASES)
def test_a_step_is_that_of_kfac_jax(case, float64):
    network, loss = case.split("/")
    x, y = PEERS[f"{network}/x"], PEERS[f"{loss}/y"]
    model = keras.Sequential(
        [keras.Input(x.shape[1:]), *LAYERS[network](), L.Dense(3)]
    )
    before = [PEERS[f"{network}/{name}"] for name in WEIGHTS]
    model.set_weights(before)
    optimizer = KFAC(
        1.0,
        momentum=0.0,
        kl_bound=None,
        fisher="exact",
        damping=float(PEERS["damping"]),
    )
    crossentropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, crossentropy if loss != "mse" else "mse")
    fit(model, 1, x, y, batch_size=len(x))
    for name, old, new in zip(
        WEIGHTS, before, model.get_weights(), strict=True
    ):
        assert_allclose(old - new, PEERS[f"{case}/{name}"], rtol=1e-8)
    saved = {v.name: v.numpy() for v in optimizer.variables}
    # kfac-jax keeps the four positions of the convolution apart from G.
    counts = (4 if network == "convolution" else 1, 1)
    for k, count in enumerate(counts):
        for own, expected in (
            ("inputs", PEERS[f"{case}/A{k}"]),
            ("outputs", count * PEERS[f"{case}/G{k}"]),
        ):
            actual = saved[f"factor_{k}_{own}"][0]
            assert_allclose(actual, expected, rtol=1e-8, atol=1e-12)
