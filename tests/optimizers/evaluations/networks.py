"""Small networks, and curves for them to fit, that these tests share."""

import functools

import keras
import numpy as np
import tensorflow as tf

from keras_curvature.optimizers import SolverError

# What an error about a changing loss advises.
BATCHES = "batch_size=len"
# A graph without `SolverProgress` raises TensorFlow's.
ERRORS = (SolverError, tf.errors.InvalidArgumentError)


def curve(samples=40):
    """Inputs and outputs of a curve that is to be fitted."""
    x = np.linspace(-1, 1, samples)[:, None]
    return x, np.sin(3 * x) + 0.3 * x**2


def network(*extra, regularizer=None, seed=3, kind=keras.Sequential):
    """A small tanh network, always with the same initial weights."""
    keras.utils.set_random_seed(seed)
    return kind(
        [
            keras.Input((1,)),
            keras.layers.Dense(
                5, activation="tanh", kernel_regularizer=regularizer
            ),
            *extra,
            keras.layers.Dense(1),
        ]
    )


def trained(optimizer, epochs, model=None, data=None, **settings):
    """A network after `fit` on its whole data at once."""
    model = model or network()
    # XLA has tests of its own.
    settings = {"jit_compile": False} | settings
    model.compile(optimizer, loss="mse", **settings)
    full_batch_fit(model, epochs, data)
    return model


@functools.cache
def _plain(optimizer):
    """A compiled network in float64, and the state that it begins with."""
    assert keras.config.floatx() == "float64"
    model = network()
    model.compile(optimizer(), loss="mse", jit_compile=False)
    model.optimizer.build(model.trainable_variables)
    variables = [*model.variables, *model.optimizer.variables]
    return model, [(v, v.numpy()) for v in variables]


@functools.cache
def plain_path(optimizer, epochs):
    """The weights that `trained` leads to, of a model that is traced once.

    What others are held against, which need a trace of their own.
    """
    model, start = _plain(optimizer)
    for variable, value in start:
        variable.assign(value)
    full_batch_fit(model, epochs)
    return weights_of(model)


def full_batch_fit(model, epochs, data=None, **settings):
    """Each epoch a step; Keras needs longer than that to begin on arrays."""
    x, y = data or curve()
    settings = {"shuffle": False} | settings
    if "batch_size" in settings:
        data = (x, y)
    else:
        data = (tf.data.Dataset.from_tensors((x, y)),)
    return model.fit(*data, epochs=epochs, verbose=0, **settings)


def fit_in_one_epoch(model, steps):
    """On replicas Keras needs a quarter of a second to begin an epoch."""
    data = tf.data.Dataset.from_tensors(curve()).repeat()
    model.fit(data, steps_per_epoch=steps, verbose=0)


def weights_of(model):
    return np.concatenate([w.numpy().ravel() for w in model.weights])


def loss_at(model, data=None):
    x, y = data or curve()
    return float(np.mean((model(x).numpy() - y) ** 2))


class PoissonResidual(keras.Model):
    """−u'' of a network that vanishes at 0 and 1."""

    def __init__(self):
        super().__init__()
        keras.utils.set_random_seed(0)
        self.hidden = keras.layers.Dense(8, activation="tanh")
        self.out = keras.layers.Dense(1)

    def field(self, x):
        return x * (1 - x) * self.out(self.hidden(x))

    def call(self, x):
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                u = self.field(x)
            slope = inner.gradient(u, x)
        return -outer.gradient(slope, x)
