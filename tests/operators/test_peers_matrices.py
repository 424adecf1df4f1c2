"""Matrices of curvlinops for the same weights, data and losses.

peers/generate_matrices.py made matrices.npz.
"""

import functools
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_curvature.operators import Fisher, GaussNewton, Hessian
from tests.operators.models import distance

MATRICES = np.load(Path(__file__).with_name("peers") / "matrices.npz")


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
