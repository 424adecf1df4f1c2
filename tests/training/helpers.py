"""A model with conditions of their own point sets, and its residuals."""

import keras
import numpy as np
import tensorflow as tf

import keras_curvature

# The equation u′ = −k·u, measurements of u, and its mean over the points.
NAMES = ("equation", "measured", "mean")
LOSS_WEIGHTS = {"equation": 0.1, "measured": 1.0, "mean": 0.01}


class Decay(keras_curvature.Model):
    """Residuals of u′ = −k·u with a network u and a coefficient k."""

    def __init__(self):
        super().__init__()
        self.u = keras.Sequential(
            [
                keras.Input((1,)),
                keras.layers.Dense(4, activation="tanh"),
                keras.layers.Dense(1),
            ]
        )
        self.k = self.add_weight(shape=(), initializer="ones", name="k")

    def call(self, t):
        points = t["equation"]
        with tf.GradientTape() as tape:
            tape.watch(points)
            u = self.u(points)
        return {
            "equation": tape.gradient(u, points) + self.k * u,
            "measured": self.u(t["measured"]),
            "mean": tf.reduce_mean(u, axis=0, keepdims=True),
        }


def decay_data(points=30, seed=0):
    """`(t, y, sample_weight)` of exp(−2t) on [0, 1]."""
    rng = np.random.default_rng(seed)
    t = {
        "equation": rng.uniform(0, 1, (points, 1)),
        "measured": np.linspace(0, 1, 7)[:, None],
    }
    y = {
        "equation": np.zeros((points, 1)),
        "measured": np.exp(-2 * t["measured"]),
        "mean": np.array([[(1 - np.exp(-2)) / 2]]),
    }
    sample_weight = {
        "equation": rng.uniform(0.5, 1, points),
        "measured": np.ones(7),
        "mean": np.ones(1),
    }
    return t, y, sample_weight


def decay(optimizer, **options):
    keras.utils.set_random_seed(0)
    model = Decay()
    model.compile(
        optimizer,
        loss=dict.fromkeys(NAMES, "mse"),
        loss_weights=LOSS_WEIGHTS,
        **({"jit_compile": False} | options),
    )
    return model


def decay_residuals(model, t, y, sample_weight):
    """r with L = ½‖r‖², each loss a mean over its own points."""
    outputs = model({name: tf.constant(part) for name, part in t.items()})
    return tf.concat(
        [
            tf.reshape(
                np.sqrt(2 * LOSS_WEIGHTS[n] / len(y[n]) * sample_weight[n])
                * (outputs[n] - y[n])[:, 0],
                (-1,),
            )
            for n in NAMES
        ],
        axis=0,
    )
