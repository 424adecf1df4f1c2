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

from keras_curvature.linalg import eigenpairs, spectral_density, trace
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


@pytest.mark.parametrize("loss", ["mse", "crossentropy"])
def test_trace_and_density_within_the_noise(float64, loss):
    model = keras.Sequential(mlp())
    model.set_weights([MATRICES[f"mlp/w{k}"] for k in range(4)])
    y = MATRICES[f"mlp/{loss}/y"]
    hessian = Hessian(model, MATRICES["mlp/x"], y, loss=LOSSES[loss]())
    terms = DIAGONALS[f"{loss}/traces"]
    exact = np.trace(hessian.to_dense())
    # Four standard errors: one seed in 16,000 is further off.
    assert abs(terms.mean() - exact) < 4 * terms.std() / len(terms) ** 0.5
    ours = trace(hessian, probes=30)
    assert abs(ours.value - exact) < 4 * ours.standard_error
    runs = spectral_density(hessian, steps=15, runs=200).densities(
        DIAGONALS[f"{loss}/grid"], width=0.3
    )
    theirs = DIAGONALS[f"{loss}/density"]
    # Both of 200 runs, compared at 40 points that are not independent.
    noise = runs.std(axis=0) * (2 / len(runs)) ** 0.5
    differences = np.abs(runs.mean(axis=0) - theirs)
    assert np.all(differences < 4 * noise + 1e-6 * theirs.max())
