"""Data of three classes that the tests of K-FAC share."""

import keras
import numpy as np

N, CLASSES = 8, 3
RNG = np.random.default_rng(5)
X, TARGETS = RNG.normal(size=(N, 4)), RNG.normal(size=(N, CLASSES))
LABELS = RNG.integers(0, CLASSES, N)


def crossentropy():
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)
