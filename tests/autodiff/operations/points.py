"""Ordinary points."""

import numpy as np

_RNG = np.random.default_rng(0)
POSITIVE = _RNG.uniform(0.3, 0.9, (3, 3))
NORMAL = _RNG.normal(size=(3, 3))
REGULAR = np.array([[2.0, 0.3, 0.1], [0.2, 1.5, -0.4], [0.3, 0.1, 1.0]])
IMAGE = _RNG.normal(size=(1, 4, 4, 2))
