"""The Hessian of a model whose activations had no second derivative."""

import tensorflow as tf

from keras_curvature._derivatives import with_derivative
from keras_curvature.diagnostics._activations import (
    activation_sites,
    intercepted,
)
from keras_curvature.diagnostics._applications import Applications
from keras_curvature.losses.known_loss import known_loss
from keras_curvature.operators import Hessian

# The activations before a binary cross-entropy and before `poisson`.
_CANONICAL = ("sigmoid", "exponential")


class HessianWithoutBends(Hessian):
    """H with f″ = 0 in every activation f, all else as it is.

    f(z) and f′(z) keep their values, and f′(z) counts as a constant where the
    gradient is differentiated. An activation that the loss is known to be made
    for, as the sigmoid before a binary cross-entropy, is part of the loss and
    keeps its f″.

    Args: as `Hessian`.

    Attributes:
        left_out: Dict from names of layers with other activations to reasons.
        seen: `Applications` of a forward pass; after the first product.
    """

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self._sites, self.left_out = activation_sites(self.model)
        self.seen = Applications(self._sites)

    def _batch_product(self, batch, share, vectors):
        kept = self._those_of_the_loss(batch)
        calls = []

        def apply(site, function, z):
            calls.append(site)
            if len(calls) - 1 in kept:
                return function(z)
            return _without_bend(function, site)(z)

        with intercepted(self._sites, apply):
            return super()._batch_product(batch, share, vectors)

    def _those_of_the_loss(self, batch):
        """The numbers of the applications that belong to a loss."""
        self.seen = Applications(self._sites)
        with self.seen.recorded():
            outputs = self._model_loss.outputs(batch[0])
        terms = self._model_loss.terms(batch, outputs)
        last = [term.output for term in terms if _is_of_probabilities(term)]
        return {
            k
            for k, application in enumerate(self.seen.found)
            if application.site.label.lower() in _CANONICAL
            and any(application.result is output for output in last)
        }


def _without_bend(function, site):
    def slope(z):
        return tf.stop_gradient(site.elementwise.first_derivative(z))

    return with_derivative(function, slope)


def _is_of_probabilities(term):
    """Whether the Fisher information stands in for H_L.

    Behind one of the activations that the loss is made for, it is the
    curvature by what enters that activation, f″ included.
    """
    known = known_loss(term)
    return known is not None and known.uses_information(term)
