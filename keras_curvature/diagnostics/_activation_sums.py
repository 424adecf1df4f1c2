"""Sums over a data set of what its activations do to the gradient."""

import dataclasses

import numpy as np
import tensorflow as tf

from keras_curvature.autodiff import exact_derivatives
from keras_curvature.diagnostics._applications import Applications


@dataclasses.dataclass(frozen=True)
class ActivationSums:
    """The sums for one application of an activation.

    Attributes:
        name: Of its layer; from the second application on with its number.
        label: The name of the function.
        entries: Number of values.
        units: Array of shape (units,), for each the number of values that are
            not saturated.
        first, second: Σ |f′| and Σ |f″|.
        after, before: Σ ‖∂L/∂f(z)‖² and Σ ‖∂L/∂z‖² over the samples, or None
            where the loss is connected by another way.
    """

    name: str
    label: str
    entries: int
    units: np.ndarray
    first: float
    second: float
    after: float | None
    before: float | None


class SumsOfBatch:
    """What `DataPass.sum` adds up, and what it says of the model.

    Args:
        model_loss: `ModelLoss`.
        sites: List of `ActivationSite`s.
        saturation: Float: |f′| below it is saturated.
    """

    def __init__(self, model_loss, sites, saturation):
        self._model_loss = model_loss
        self._sites = sites
        self._saturation = saturation
        self._reached = []
        self._applications = Applications([])

    def __call__(self, batch, share):
        with tf.GradientTape() as tape:
            applications = Applications(self._sites, tape)
            with applications.recorded():
                loss = self._model_loss.total(batch, share)
        found = applications.found
        gradients = tape.gradient(
            loss, [a.result for a in found] + [a.z for a in found]
        )
        pairs = list(
            zip(gradients[: len(found)], gradients[len(found) :], strict=True)
        )
        self._applications = applications
        self._reached = [[g is not None for g in pair] for pair in pairs]
        sums = []
        for application, pair in zip(found, pairs, strict=True):
            sums += self._sums(application)
            sums += [
                tf.constant(0.0, "float64") if g is None else _squares(g)
                for g in pair
            ]
        return loss, sums

    def _sums(self, application):
        site, z, _ = application
        with exact_derivatives():
            first = tf.abs(site.elementwise.first_derivative(z))
            second = tf.abs(site.elementwise.second_derivative(z))
        lively = tf.cast(first >= self._saturation, "float64")
        units = tf.reduce_sum(lively, tf.range(tf.rank(z) - 1))
        entries = tf.size(z, out_type="int64")
        return [
            tf.cast(entries, "float64"),
            units,
            tf.reduce_sum(tf.cast(first, "float64")),
            tf.reduce_sum(tf.cast(second, "float64")),
        ]

    def results(self, sums):
        """List of `ActivationSums`, from what `DataPass.sum` returns."""
        results, seen = [], {}
        found = self._applications.found
        for k, (application, reached) in enumerate(
            zip(found, self._reached, strict=True)
        ):
            site = application.site
            seen[site.name] = seen.get(site.name, 0) + 1
            number = f" ({seen[site.name]})" if seen[site.name] > 1 else ""
            entries, units, first, second, *gradients = (
                np.asarray(s) for s in sums[6 * k : 6 * k + 6]
            )
            after, before = (
                float(g) if is_reached else None
                for g, is_reached in zip(gradients, reached, strict=True)
            )
            results.append(
                ActivationSums(
                    name=site.name + number,
                    label=site.label,
                    entries=int(entries),
                    units=units,
                    first=float(first),
                    second=float(second),
                    after=after,
                    before=before,
                )
            )
        return results

    @property
    def hidden(self):
        """Names of layers whose activations could not be looked at."""
        return sorted(self._applications.hidden)

    @property
    def unseen(self):
        """Names of operations that are activations and in no layer."""
        return self._applications.unseen


def _squares(gradient):
    return tf.reduce_sum(tf.cast(gradient, "float64") ** 2)
