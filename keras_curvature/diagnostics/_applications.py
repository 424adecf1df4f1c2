"""What activations are applied to in one call of a model."""

import contextlib
from typing import NamedTuple

import tensorflow as tf

from keras_curvature.diagnostics._activations import (
    ActivationSite,
    intercepted,
)

# What TensorFlow makes of activations.
_OPERATIONS = frozenset(
    {
        "Elu",
        "Erf",
        "LeakyRelu",
        "Relu",
        "Relu6",
        "Selu",
        "Sigmoid",
        "Softplus",
        "Softsign",
        "Tanh",
    }
)


class Application(NamedTuple):
    """One application of an activation: result = f(z)."""

    site: ActivationSite
    z: tf.Tensor
    result: tf.Tensor


class Applications:
    """Records the activations of a forward pass that is being traced.

    Args:
        sites: List of `ActivationSite`s.
        tape: `tf.GradientTape` that watches each z, or None.
    """

    def __init__(self, sites, tape=None):
        self._sites = sites
        self._tape = tape
        self._graph = None
        self._own = []
        self.found = []
        # Names of sites within loops and mapped functions.
        self.hidden = set()
        # Names of operations that no site holds.
        self.unseen = []

    @contextlib.contextmanager
    def recorded(self):
        """Within it, the model is called."""
        self._graph = tf.compat.v1.get_default_graph()
        start = self._count()
        with intercepted(self._sites, self._apply):
            yield
        own = {k for start, stop in self._own for k in range(start, stop)}
        self.unseen = [
            operation.name
            for k, operation in enumerate(self._operations()[start:], start)
            if operation.type in _OPERATIONS and k not in own
        ]

    def _apply(self, site, function, z):
        if tf.compat.v1.get_default_graph() is not self._graph:
            self.hidden.add(site.name)
            return function(z)
        start = self._count()
        # The derivative by z is not to include other uses of it.
        z = tf.identity(z)
        if self._tape is not None:
            self._tape.watch(z)
        result = function(z)
        self._own.append((start, self._count()))
        self.found.append(Application(site, z, result))
        return result

    def _operations(self):
        return self._graph.get_operations()

    def _count(self):
        return len(self._operations())
