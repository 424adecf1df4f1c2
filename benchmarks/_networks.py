"""The three networks on which step costs are measured, and their batches."""

import keras
import numpy as np


def mlp():
    """784-512-512-10, tanh, batch 256."""
    model = [
        keras.Input((784,)),
        keras.layers.Dense(512, activation="tanh"),
        keras.layers.Dense(512, activation="tanh"),
        keras.layers.Dense(10),
    ]
    return keras.Sequential(model), (256, 784)


def cnn():
    """32×32×3 images, batch 64, four convolutions, relu."""
    conv = {"kernel_size": 3, "padding": "same", "activation": "relu"}
    model = [
        keras.Input((32, 32, 3)),
        keras.layers.Conv2D(32, **conv),
        keras.layers.Conv2D(32, **conv),
        keras.layers.MaxPooling2D(),
        keras.layers.Conv2D(64, **conv),
        keras.layers.Conv2D(64, **conv),
        keras.layers.MaxPooling2D(),
        keras.layers.Flatten(),
        keras.layers.Dense(128, activation="relu"),
        keras.layers.Dense(10),
    ]
    return keras.Sequential(model), (64, 32, 32, 3)


def transformer():
    """Two encoder layers of width 128, 4 heads, 64 tokens, batch 16."""
    x = inputs = keras.Input((64, 128))
    for _ in range(2):
        attended = keras.layers.MultiHeadAttention(4, 32)(x, x)
        x = keras.layers.LayerNormalization()(x + attended)
        hidden = keras.layers.Dense(512, activation="gelu")(x)
        hidden = keras.layers.Dense(128)(hidden)
        x = keras.layers.LayerNormalization()(x + hidden)
    x = keras.layers.GlobalAveragePooling1D()(x)
    outputs = keras.layers.Dense(10)(x)
    return keras.Model(inputs, outputs), (16, 64, 128)


NETWORKS = {"mlp": mlp, "cnn": cnn, "transformer": transformer}


def batch(shape, seed=0):
    """Normal inputs and labels among ten classes."""
    random = np.random.default_rng(seed)
    x = random.standard_normal(shape).astype("float32")
    return x, random.integers(0, 10, shape[0])
