"""Small problems that the optimizer tests share."""

import functools

import keras
import numpy as np
import tensorflow as tf

import keras_curvature
from keras_curvature.optimizers import SecondOrderGradient

RNG = np.random.default_rng(3)
X, Y = RNG.normal(size=(24, 3)), RNG.normal(size=(24, 1))


def network(model_class=keras.Sequential, units=4, **options):
    """A small bent network, the same at every call."""
    keras.utils.set_random_seed(1)
    return model_class(
        [
            keras.Input((3,)),
            keras.layers.Dense(units, activation="tanh", **options),
            keras.layers.Dense(1),
        ]
    )


def fit(model, epochs=1, x=X, y=Y, batch_size=6, **options):
    """Trains without shuffling; 4 steps an epoch unless told otherwise."""
    if "sample_weight" in options or "class_weight" in options:
        options["batch_size"] = batch_size
        data = (x, y)
    else:
        data = (batches(x, y, batch_size),)
    return model.fit(*data, epochs=epochs, shuffle=False, verbose=0, **options)


def batches(x, y, batch_size):
    """What Keras makes of arrays, which takes it longer than small steps."""
    data = tf.data.Dataset.from_tensor_slices((x, y))
    return data.batch(batch_size)


def trained(optimizer, model_class=keras.Sequential, epochs=2, **options):
    """The model after training, compiled with the options."""
    model = network(model_class)
    model.compile(optimizer, "mse", **options)
    fit(model, epochs)
    return model


def weights(model):
    """All weights of a model as one vector."""
    return np.concatenate([np.ravel(w) for w in model.get_weights()])


def weights_after(optimizer, model_class=keras.Sequential, epochs=2, **options):
    """All weights after training, as one vector."""
    return weights(trained(optimizer, model_class, epochs, **options))


@functools.cache
def second_order_adam(update_period=1):
    """The weights that other ways of two epochs are held against.

    In float64, and trained once in a process.
    """
    assert keras.config.floatx() == "float64"
    return weights_after(
        SecondOrderGradient("adam", update_period=update_period)
    )


class Quadratic(keras.Model):
    """L(w) = ½ wᵀAw − bᵀw, whatever the data."""

    def __init__(self, matrix, b, start):
        super().__init__()
        self.matrix = tf.constant(matrix)
        self.b = tf.constant(b)
        self.w = self.add_weight(
            shape=np.shape(start),
            initializer=lambda shape, dtype: tf.cast(start, dtype),
            name="w",
        )

    def call(self, x):
        w = tf.convert_to_tensor(self.w)
        self.add_loss(
            tf.tensordot(w, tf.linalg.matvec(self.matrix, w), 1) / 2
            - tf.tensordot(self.b, w, 1)
        )
        return x


class RecordedQuadratic(Quadratic, keras_curvature.Model):
    """The same under nested tapes."""


def fit_quadratic(model, optimizer, steps=1, **options):
    """Takes some steps and returns w."""
    model.compile(optimizer, **options)
    data = np.zeros((steps, 1))
    model.fit(data, data, batch_size=1, verbose=0)
    return model.w.numpy()
