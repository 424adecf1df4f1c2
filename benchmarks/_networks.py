"""The networks that the figures are measured on, and data for them."""

import keras
import numpy as np


def mlp():
    """784-512-512-10, tanh, batches of 256."""
    layers = [keras.Input((784,))]
    for _ in range(2):
        layers.append(keras.layers.Dense(512, activation="tanh"))
    return keras.Sequential([*layers, keras.layers.Dense(10)])


def cnn():
    """Two pairs of convolutions on 32 x 32 x 3, relu, batches of 64."""
    layers = [keras.Input((32, 32, 3))]
    for filters in (32, 64):
        for _ in range(2):
            layers.append(
                keras.layers.Conv2D(
                    filters, 3, padding="same", activation="relu"
                )
            )
        layers.append(keras.layers.MaxPooling2D())
    layers += [keras.layers.Flatten(), keras.layers.Dense(128, "relu")]
    return keras.Sequential([*layers, keras.layers.Dense(10)])


def transformer():
    """Two encoder blocks of width 128, 4 heads, 64 tokens, batches of 16."""
    inputs = signal = keras.Input((64, 128))
    for _ in range(2):
        attended = keras.layers.MultiHeadAttention(4, 32)(signal, signal)
        signal = keras.layers.LayerNormalization()(signal + attended)
        hidden = keras.layers.Dense(512, activation="gelu")(signal)
        hidden = keras.layers.Dense(128)(hidden)
        signal = keras.layers.LayerNormalization()(signal + hidden)
    pooled = keras.layers.GlobalAveragePooling1D()(signal)
    return keras.Model(inputs, keras.layers.Dense(10)(pooled))


BATCH = {"mlp": 256, "cnn": 64, "transformer": 16}
NETWORKS = {"mlp": mlp, "cnn": cnn, "transformer": transformer}


def make(name):
    """The network with seeded weights, and one random batch for it."""
    keras.utils.set_random_seed(0)
    model = NETWORKS[name]()
    random = np.random.default_rng(0)
    x = random.normal(size=(BATCH[name], *model.input_shape[1:]))
    y = random.integers(0, 10, BATCH[name])
    return model, x.astype("float32"), y
