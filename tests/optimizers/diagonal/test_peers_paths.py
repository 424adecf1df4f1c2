"""Where the Hessian is diagonal, the paths of other implementations.

peers/generate_paths.py made paths.npz; it says which settings stand for ours.
"""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_curvature.optimizers import AdaHessian, Sophia

PATHS = np.load(Path(__file__).with_name("peers") / "paths.npz")
SOPHIA = {"learning_rate": 0.02, "rho": 0.3, "epsilon": 1e-8}
# Keras rounds `weight_decay` to float32; 0.125 is the same in both.
CASES = {
    "adahessian": (AdaHessian, {"learning_rate": 0.1, "epsilon": 1e-4}),
    "adahessian_power": (
        AdaHessian,
        {
            "learning_rate": 0.05,
            "beta_1": 0.8,
            "beta_2": 0.99,
            "hessian_power": 0.5,
            "weight_decay": 0.125,
            "epsilon": 1e-6,
        },
    ),
    "sophia_torch": (Sophia, SOPHIA),
    "sophia_torch_every": (
        Sophia,
        {**SOPHIA, "update_period": 1, "weight_decay": 0.125},
    ),
    "sophia_optax": (Sophia, {**SOPHIA, "beta_1": 0.0}),
    "sophia_optax_every": (
        Sophia,
        {**SOPHIA, "beta_1": 0.0, "update_period": 1},
    ),
}


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_path_is_that_of_the_peer(name, jit_compile, float64):
    path = PATHS[name]
    # Two variables of different ranks, to pair states with variables.
    weights = [
        keras.Variable(path[0][:6].reshape(2, 3)),
        keras.Variable(path[0][6:]),
    ]
    make, settings = CASES[name]
    optimizer = make(**settings)
    optimizer.build(weights)
    a = [PATHS["a"][:6].reshape(2, 3), PATHS["a"][6:]]

    @tf.function(jit_compile=jit_compile, autograph=False)
    def step():
        with tf.GradientTape() as tape:
            loss = 0.0
            for scale, variable in zip(a, weights, strict=True):
                w = variable.value
                loss += tf.reduce_sum(scale * (1 - tf.cos(w)) + w**4 / 12)
        gradients = tape.gradient(loss, [v.value for v in weights])
        optimizer.apply(gradients, weights)

    for expected in path[1:]:
        step()
        got = np.concatenate([v.numpy().ravel() for v in weights])
        np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-10)


def test_paths_pass_through_negative_curvature():
    path = PATHS["sophia_torch_every"]
    diagonal = PATHS["a"] * np.cos(path) + path**2
    assert (diagonal < 0).any()
    assert (diagonal > 0).any()
