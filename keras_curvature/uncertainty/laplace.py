"""Laplace's approximation of the posterior distribution of weights."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Literal

import keras
import numpy as np

from keras_curvature._checks import (
    checked_choice,
    checked_integer,
)
from keras_curvature._typing import Data, Layers
from keras_curvature.uncertainty._arguments import (
    layers_of,
    refuse_sample_weights,
)
from keras_curvature.uncertainty._fit import fit
from keras_curvature.uncertainty._likelihoods import Categorical, summed_loss
from keras_curvature.uncertainty._links import LINKS
from keras_curvature.uncertainty._posteriors import STRUCTURES
from keras_curvature.uncertainty._storage import load_fit
from keras_curvature.uncertainty._tunable import TunableLaplace
from keras_curvature.uncertainty.prediction import Prediction


class Laplace(TunableLaplace):
    """A normal distribution of the weights around those of a trained model.

        p(w | data) ≈ N(w*, P⁻¹),  P = H + diag(prior_precision)

    H is the generalized Gauss-Newton matrix of the negative log-likelihood at
    the trained weights w*, and the prior N(0, 1/prior_precision). Predictions
    are those of the model linearized in its weights,

        f ~ N(f(x, w*), J·P⁻¹·Jᵀ),

    which fits the Gauss-Newton matrix and is exact for models linear in the
    weights. Any trained Keras model, unmodified, with one output tensor of
    shape `(batch, outputs)`, compiled with `mean_squared_error` (normal
    errors), or a crossentropy of classes (of logits or probabilities).

    Args:
        model: Built `keras.Model`, compiled with a loss.
        weights: `"all"`, `"last_layer"`, or names of layers or patterns, a
            string or a list; the others count as known. Defaults to `"all"`.
        structure: `"full"`, `"kron"` (`KroneckerFactored`), `"diagonal"` or
            `"low_rank"`: what is kept of H. Defaults to `"full"`, n² numbers
            for n weights.
        prior_precision: Float > 0, or a list of floats, one for each of the
            variables. Defaults to 1.0.
        noise: Float > 0, the standard deviation of targets with normal
            errors, in their units. Defaults to 1.0.
        rank: Int, the eigenvalues kept by `"low_rank"`. Defaults to 20.

    Attributes:
        variables: The weights, a list of `keras.Variable`s.
        prior_precision: Array with one number for each of the variables.
        noise: Float.

    Raises:
        ValueError: for a loss without likelihood, and other arguments by
            name; at the methods if `fit` was not called or the model has
            other weights than at `fit`.

    Example:

    ```python
    import keras
    import numpy as np
    import keras_curvature
    from keras_curvature.uncertainty import Laplace

    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (40, 1))
    y = np.sin(3 * x) + 0.1 * rng.normal(size=x.shape)
    model = keras_curvature.Sequential(
        [
            keras.Input((1,)),
            keras.layers.Dense(8, activation="tanh"),
            keras.layers.Dense(1),
        ]
    )
    model.compile(keras_curvature.optimizers.LevenbergMarquardt(), "mse")
    keras_curvature.solve(model, x, y, max_steps=50, verbose=0)
    laplace = Laplace(model)
    laplace.fit(x, y)
    laplace.tune()
    prediction = laplace.predict(np.array([[0.0], [3.0]]))
    prediction.mean, prediction.variance**0.5  # unsure at 3
    ```

    References:
        MacKay, 1992, "A practical Bayesian framework for backpropagation
        networks", Neural Computation 4(3). Immer, Korzepa, Bauer, 2021,
        "Improving predictions of Bayesian neural nets via local
        linearization", AISTATS.
    """

    def __init__(
        self,
        model: keras.Model,
        *,
        weights: Layers = "all",
        structure: Literal["full", "kron", "diagonal", "low_rank"] = "full",
        prior_precision: float | Sequence[float] = 1.0,
        noise: float = 1.0,
        rank: int = 20,
    ) -> None:
        checked_choice("structure", structure, STRUCTURES)
        super().__init__(model, structure, prior_precision, noise)
        self._loss = summed_loss(model)
        self._layers = layers_of(model, weights)
        self._rank = checked_integer("rank", rank, 1)

    def fit(
        self,
        x: Data,
        y: Data | None = None,
        *,
        batch_size: int = 256,
        verbose: int = 0,
    ) -> Laplace:
        """Takes the curvature at the weights that the model has now.

        Args:
            x: Inputs: array, list or dict of arrays, `tf.data.Dataset` of
                batches, or `keras.utils.PyDataset`. The data stream in
                batches.
            y: Targets; None for data sets, which yield them. Defaults to
                `None`.
            batch_size: Int, samples of a batch of arrays. Defaults to 256.
            verbose: 0, or 1 for a bar of progress. Defaults to 0.

        Returns:
            The object itself.
        """
        refuse_sample_weights(x)
        self._take(
            fit(
                self.model,
                (x, y),
                self._loss,
                self._layers,
                STRUCTURES[self.structure],
                rank=self._rank,
                batch_size=batch_size,
                verbose=verbose,
            )
        )
        return self

    def log_marginal_likelihood(self) -> float:
        """log p(data), the evidence, a float.

            log p(data | w*) − ½·(w*ᵀ·D·w* + log det P − log det D)

        with D = diag(prior_precision).
        """
        return self._now.log_marginal_likelihood()

    def predict(
        self,
        x: Data,
        *,
        link: Literal["probit", "monte_carlo", "bridge"] = "probit",
        samples: int = 1000,
        seed: int = 0,
    ) -> Prediction:
        """Outputs with what the weights leave open.

        Args:
            x: Inputs: array, list or dict of arrays.
            link: For classes: `"probit"`, `"monte_carlo"`, or `"bridge"`, by
                which probabilities come of logits. Defaults to `"probit"`.
            samples: Int, of the logits, for `"monte_carlo"`. Defaults to
                1000.
            seed: Int, of these. Defaults to 0.

        Returns:
            `Prediction`.
        """
        checked_choice("link", link, LINKS)
        checked_integer("samples", samples, 1)
        normal = self._now.normal
        parts = [
            (mean, normal.covariance(rows))
            for mean, rows in self._linearized.parts(x)
        ]
        mean, covariance = map(np.concatenate, zip(*parts, strict=True))
        likelihood = self._fitted.likelihood
        if not likelihood.classes:
            return Prediction(mean, covariance, self._noise**2, None)
        exclusive = isinstance(likelihood, Categorical)
        rng = np.random.default_rng(seed)
        probabilities = LINKS[link](mean, covariance, samples, rng, exclusive)
        return Prediction(mean, covariance, None, probabilities)

    def sample_functions(
        self, x: Data, *, samples: int = 10, seed: int = 0
    ) -> np.ndarray:
        """Outputs, or logits, for weights drawn from the posterior.

        Of the model linearized in its weights, as the predictions are.

        Args:
            x: Inputs: array, list or dict of arrays.
            samples: Int. Defaults to 10.
            seed: Int. Defaults to 0.

        Returns:
            Array of shape `(samples, batch, outputs)`.
        """
        checked_integer("samples", samples, 1)
        shape = (samples, len(self._fitted.values))
        normals = np.random.default_rng(seed).normal(size=shape)
        drawn = self._now.normal.samples(normals)
        return np.concatenate(
            [
                mean + rows.times(drawn.T).transpose(2, 0, 1)
                for mean, rows in self._linearized.parts(x)
            ],
            axis=1,
        )

    @classmethod
    def load(cls, path: str | os.PathLike[str], model: keras.Model) -> Laplace:
        """A posterior that was saved, for the model it belongs to.

        Args:
            path: String or path of the `.npz` file.
            model: The model, with the weights that it had at `fit`.
        """
        loaded, settings, arrays = load_fit(
            path, model, summed_loss(model), STRUCTURES
        )
        weights = [v.path for v in loaded.variables]
        precision = list(arrays["prior_precision"])
        self = cls(
            model, weights=weights, prior_precision=precision, **settings
        )
        self._take(loaded)
        return self
