"""The measurements of a report, one after the other."""

import math
import pathlib
import time
import warnings

import numpy as np
import tensorflow as tf

from keras_curvature.diagnostics import (
    activation_report,
    curvature_split,
    loss_landscape,
)
from keras_curvature.linalg import eigenpairs, spectral_density, trace
from keras_curvature.operators import Hessian
from keras_curvature.operators.data_pass import DataPass
from keras_curvature.report._classification import Classification
from keras_curvature.report._facts import LossAndGradient, learning_rate
from keras_curvature.report._numbers import duration
from keras_curvature.report._plan import plan_for
from keras_curvature.report._progress import CountedOperator

_ROOT = str(pathlib.Path(__file__).parents[1])
# Refusals of one measurement, which leave the others what they are.
_REFUSALS = (ValueError, LookupError, NotImplementedError, tf.errors.OpError)


class Measuring:
    """Takes all measurements of one model.

    Args:
        model: `keras.Model`.
        data: Tuple `(x, y, sample_weight)`.
        options: Dict of `loss` and `batch_size`, as for `Hessian`.
        layers: As for `Hessian`.
        seed: Int.
        progress: `Progress` or `Silence`.
    """

    def __init__(self, model, data, options, *, layers, seed, progress):
        self._began = time.perf_counter()
        self._model, self._of_data = model, (model, *data)
        self._options, self._layers, self._seed = options, layers, seed
        self._progress = progress
        self._hessian = Hessian(*self._of_data, **options, layers=layers)
        self._counted = CountedOperator(self._hessian, progress)
        self._data = DataPass(*self._of_data, **options)
        self._plan = plan_for(
            self._hessian.shape[0],
            self._hessian.dtype.size,
            len({v.path.rpartition("/")[0] for v in self._hessian.variables}),
        )
        self._missing, self._notes = {}, []

    def take(self):
        """Dict of the fields of a `CurvatureReport`."""
        facts = self._facts()
        self._announce()
        plan, seed = self._plan, self._seed
        largest, smallest = self._required(
            "eigenvalues", plan.eigenpair_products, self._eigenpairs
        )
        estimate = self._required(
            "trace",
            plan.probes,
            lambda: trace(self._counted, probes=plan.probes, seed=seed),
        )
        density = self._optional(
            "density",
            plan.steps * plan.runs,
            lambda: spectral_density(
                self._counted, steps=plan.steps, runs=plan.runs, seed=seed
            ),
        )
        split = self._optional("split", plan.split_products, self._split)
        activations = self._optional(
            "activations",
            0,
            lambda: activation_report(*self._of_data, **self._options),
        )
        direction, slope = self._steepest(largest)
        landscape = self._optional(
            "landscape", 0, lambda: self._line(direction, facts, largest)
        )
        found = self._optional("reliability", 0, self._classification)
        return facts | {
            "largest": largest,
            "smallest": smallest,
            "trace": estimate,
            "density": density,
            "split": split,
            "activations": activations,
            "landscape": landscape,
            "slope": slope,
            "reliability": found[0] if found else None,
            "accuracy": found[1] if found else None,
            "missing": self._missing,
            "notes": list(dict.fromkeys(self._notes)),
            "products": sum(
                part.products
                for part in (largest, smallest, estimate, density)
                if part is not None
            )
            + (plan.split_products if split else 0),
            "seconds": time.perf_counter() - self._began,
            "seed": seed,
        }

    def _facts(self):
        """What the model and its loss are, from two passes over the data."""
        hessian, model = self._hessian, self._model
        loss = hessian.loss
        if not math.isfinite(loss):
            raise ValueError(
                f"The loss must be finite. Received: {loss}. Look at the data "
                "and the weights for NaN, infinite and huge numbers."
            )
        loss_of_batches = LossAndGradient(self._data.model_loss, hessian)
        self._gradient = tf.concat(
            [tf.reshape(g, (-1,)) for g in self._data.sum(loss_of_batches)], 0
        ).numpy()
        optimizer = getattr(model, "optimizer", None)
        patterns = self._layers
        return {
            "model": model.name,
            "parameters": model.count_params(),
            "weights": hessian.shape[0],
            "layers": (patterns,)
            if isinstance(patterns, str)
            else patterns and tuple(patterns),
            "samples": hessian.samples,
            "loss": loss,
            "loss_name": " + ".join(loss_of_batches.names) or "additional loss",
            "gradient_norm": float(np.linalg.norm(self._gradient)),
            "optimizer": type(optimizer).__name__ if optimizer else None,
            "learning_rate": learning_rate(optimizer),
        }

    def _announce(self):
        """Says what is to come, from the time that one product takes."""
        vector = tf.ones((self._hessian.shape[0], 1), self._hessian.dtype)
        self._hessian @ vector  # compiles
        times = []
        # The first ones may be slower, and big models take long.
        while len(times) < 3 and sum(times) < 1:
            began = time.perf_counter()
            self._hessian @ vector
            times.append(time.perf_counter() - began)
        once = min(times)
        self._progress.say(
            f"Up to {self._plan.products:,} products of matrices of "
            f"{self._hessian.shape[0]:,} weights over "
            f"{self._hessian.samples:,} samples: some "
            f"{duration(once * self._plan.products)}, at {duration(once)} each"
        )

    def _eigenpairs(self):
        plan = self._plan
        return [
            eigenpairs(
                self._counted,
                k=k,
                which=which,
                max_iterations=plan.iterations,
                basis_size=plan.basis,
                seed=self._seed,
            )
            for which, k in (
                ("largest", plan.largest),
                ("smallest", plan.smallest),
            )
        ]

    def _split(self):
        return curvature_split(
            *self._of_data,
            **self._options,
            layers=self._layers,
            probes=self._plan.split_probes,
            seed=self._seed,
        )

    def _steepest(self, largest):
        """The first eigenvector over all weights, and the slope along it."""
        vector = largest.vectors[:, 0]
        slope = float(np.dot(self._gradient, vector.numpy()))
        parts = self._hessian.unflatten(vector)
        places = {
            id(v): p
            for v, p in zip(self._hessian.variables, parts, strict=True)
        }
        return self._data.vectors.flatten(
            [places.get(id(v)) for v in self._data.variables]
        ), slope

    def _line(self, direction, facts, largest):
        return loss_landscape(
            *self._of_data,
            **self._options,
            directions=direction,
            distance=_distance(facts["loss"], float(largest.values[0])),
            points=self._plan.points,
        )

    def _classification(self):
        sums = Classification(self._data.model_loss)
        return sums.results(*self._data.sum(sums))

    def _required(self, name, products, measure):
        """The result of a measurement, whose warnings are kept."""
        self._progress.begin(name, products)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            result = measure()
        # Those of other packages are not about what is measured.
        self._notes += [
            str(w.message)
            for w in caught
            if w.category is UserWarning and _ROOT in w.filename
        ]
        self._progress.end()
        return result

    def _optional(self, name, products, measure):
        """The same, or None where the model does not admit it."""
        try:
            return self._required(name, products, measure)
        except _REFUSALS as error:
            if isinstance(error, tf.errors.ResourceExhaustedError):
                raise
            self._missing[name] = " ".join(str(error).split())
            self._progress.end()
            return None


def _distance(loss, curvature):
    """How far a line goes: until the parabola has risen by four losses."""
    if loss <= 0 or curvature <= 0:
        return 1.0
    return math.sqrt(8 * loss / curvature)
