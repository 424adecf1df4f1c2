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


def flat_weights(model):
    return np.concatenate([np.ravel(w) for w in model.get_weights()])


def compiled(model, loss="mse", **options):
    model.compile(LevenbergMarquardt(**options), loss)
    return model
