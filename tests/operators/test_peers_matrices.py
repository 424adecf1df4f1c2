"""Numbers of peers for the same weights, data and losses.

peers/generate_matrices.py made matrices.npz by curvlinops, and
peers/generate_diagonals.py diagonals.npz by BackPACK, PyHessian and
hessian-eigenthings.
"""

import functools
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_curvature.linalg import eigenpairs
from keras_curvature.operators import (
    Fisher,
    GaussNewton,
    GradientCovariance,
    Hessian,
)
from tests.operators.models import distance

PEERS = Path(__file__).with_name("peers")
MATRICES = np.load(PEERS / "matrices.npz")
DIAGONALS = np.load(PEERS / "diagonals.npz")


def mlp():
    return [
        keras.Input((3,)),
        keras.layers.Dense(4, activation="tanh"),
        keras.layers.Dense(3),
    ]


def cnn():
    return [
        keras.Input((4, 4, 1)),
        keras.layers.Conv2D(2, 3, activation="tanh"),
        keras.layers.Flatten(),
        keras.layers.Dense(3),
    ]


LOSSES = {
    "mse": keras.losses.MeanSquaredError,
    "crossentropy": functools.partial(
        keras.losses.SparseCategoricalCrossentropy, from_logits=True
    ),
}


@pytest.mark.parametrize(
    ("layers", "loss"), [(mlp, "mse"), (cnn, "crossentropy")]
)
def test_hessian_gauss_newton_and_empirical_fisher(float64, layers, loss):
    model = keras.Sequential(layers())
    name = layers.__name__
    model.set_weights([MATRICES[f"{name}/w{k}"] for k in range(4)])
    x, y = MATRICES[f"{name}/x"], MATRICES[f"{name}/{loss}/y"]
    for peer, operator, options in (
        ("Hessian", Hessian, {}),
        ("GGN", GaussNewton, {}),
        ("EF", Fisher, {"kind": "empirical"}),
    ):
        matrix = operator(model, x, y, loss=LOSSES[loss](), **options)
        theirs = MATRICES[f"{name}/{loss}/{peer}"]
        if (peer, loss) == ("EF", "mse"):
            # They divide the squared gradients of sums over 3 outputs by 3,
            # where the loss, a mean, would have each of them divided by 3.
            theirs = theirs / 3
        assert distance(matrix.to_dense(), theirs) < 1e-8, peer


@pytest.mark.parametrize("loss", ["mse", "crossentropy"])
def test_diagonals_and_eigenvalues(float64, loss):
    model = keras.Sequential(mlp())
    model.set_weights([MATRICES[f"mlp/w{k}"] for k in range(4)])
    x, y = MATRICES["mlp/x"], MATRICES[f"mlp/{loss}/y"]
    given = {"loss": LOSSES[loss]()}
    hessian = Hessian(model, x, y, **given)
    # BackPACK's squares are of shares of a mean, N times as small each.
    squares = len(x) * DIAGONALS[f"{loss}/squares"]
    for ours, theirs in (
        (hessian.diagonal(), DIAGONALS[f"{loss}/Hessian"]),
        (
            GaussNewton(model, x, y, **given).diagonal(),
            DIAGONALS[f"{loss}/GaussNewton"],
        ),
        (
            GradientCovariance(model, x, y, centered=False, **given).diagonal(),
            squares,
        ),
    ):
        assert distance(ours, theirs) < 1e-8
    pairs = eigenpairs(hessian, k=3, which="magnitude", tolerance=1e-10)
    assert distance(pairs.values, DIAGONALS[f"{loss}/eigenthings"]) < 1e-8
    # PyHessian divides a vector by its length + 1e-6.
    theirs = DIAGONALS[f"{loss}/pyhessian"] * (1 + 1e-6) ** 2
    assert distance(pairs.values, theirs) < 1e-8
