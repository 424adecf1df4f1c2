"""What the tests of the least-squares optimizers share."""

import keras
import numpy as np
import tensorflow as tf

import keras_curvature
from keras_curvature.optimizers import LevenbergMarquardt


def endless(x, y, *weight):
    """The whole data as every batch: epochs cost more than such steps."""
    return tf.data.Dataset.from_tensors((x, y, *weight)).repeat()


def fit(model, x, y, steps, *weight):
    history = model.fit(
        endless(x, y, *weight),
        steps_per_epoch=steps,
        shuffle=False,
        verbose=0,
    )
    return history.history


class Residuals(keras_curvature.Model):
    """The i-th output is the i-th residual at the weights b."""

    def __init__(self, function, start):
        super().__init__()
        self.function = function
        self.b = self.add_weight(shape=(len(start),), name="b")
        self.b.assign(start)

    def call(self, index):
        return tf.gather(
            tf.convert_to_tensor(self.function(self.b.value)), index
        )


def minimize_residuals(function, start, steps=120, **options):
    """The model and, for each step, what `fit` logged."""
    model = Residuals(function, start)
    model.compile(LevenbergMarquardt(**options), "mse")
    count = len(function(tf.constant(start, "float64")))
    taken = []
    history = model.fit(
        endless(np.arange(count, dtype="int32")[:, None], np.zeros((count, 1))),
        steps_per_epoch=steps,
        shuffle=False,
        callbacks=[
            keras.callbacks.LambdaCallback(
                on_train_batch_end=lambda batch, logs: taken.append(
                    model.optimizer.progress
                )
            )
        ],
        verbose=0,
    ).history
    assert history.get("stop_reason", [None]) == [model.optimizer.stop_reason]
    return model, taken


def network(units=4, outputs=1, **output_options):
    return keras_curvature.Sequential(
        [
            keras.Input((2,)),
            keras.layers.Dense(units, activation="tanh"),
            keras.layers.Dense(outputs, **output_options),
        ]
    )


def tanh_network(weights, x, y, v):
    """`(A, r, u)` of `network` under "mse", with Aᵀu = Jᵀ·H_L·y″ along v.

    The outputs are y = tanh(x·K + b)·M + c.
    """
    k, b, m, c = weights
    inputs, units = k.shape
    dk, db, dm, _ = np.split(v, np.cumsum([inputs * units, units, m.size]))
    dk, dm = dk.reshape(k.shape), dm.reshape(m.shape)
    hidden = np.tanh(x @ k + b)
    slope = 1 - hidden**2
    along = x @ dk + db
    second = (-2 * hidden * slope * along**2) @ m + 2 * (slope * along) @ dm
    rows = []
    for i, j in np.ndindex(len(x), m.shape[1]):
        inner = slope[i] * m[:, j]
        outer = np.zeros_like(m)
        outer[:, j] = hidden[i]
        rows.append(
            [
                np.outer(x[i], inner).ravel(),
                inner,
                outer.ravel(),
                np.eye(m.shape[1])[j],
            ]
        )
    rows = np.array([np.concatenate(row) for row in rows])
    scale = np.sqrt(2 / y.size)
    residuals = hidden @ m + c - y
    return scale * rows, scale * residuals.ravel(), scale * second.ravel()


def flat_weights(model):
    return np.concatenate([np.ravel(w) for w in model.get_weights()])


def compiled(model, loss="mse", **options):
    model.compile(LevenbergMarquardt(**options), loss)
    return model


class Poisson(keras_curvature.Model):
    """Maps x to u″ of a field network u that vanishes at 0 and 1."""

    def __init__(self):
        super().__init__()
        self.field = keras.Sequential(
            [
                keras.Input((1,)),
                keras.layers.Dense(16, activation="tanh"),
                keras.layers.Dense(1),
            ]
        )

    def solution(self, x):
        return x * (1 - x) * self.field(x)

    def call(self, x):
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                u = self.solution(x)
            slope = inner.gradient(u, x)
        return outer.gradient(slope, x)
