"""Laplace's approximation of the posterior distribution of weights."""

import functools
import json
import numbers
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from keras_curvature._checks import (
    checked_choice,
    checked_flag,
    checked_integer,
    checked_number,
)
from keras_curvature.autodiff.per_sample import per_sample_jacobian
from keras_curvature.operators.gauss_newton import GaussNewton
from keras_curvature.uncertainty._evidence import maximize_evidence
from keras_curvature.uncertainty._likelihoods import (
    Categorical,
    likelihood_of,
    summed_loss,
)
from keras_curvature.uncertainty._links import LINKS
from keras_curvature.uncertainty._posteriors import STRUCTURES
from keras_curvature.uncertainty.prediction import Prediction

# The entries of Jacobians that are held at once.
_ENTRIES = 2**24


class Laplace:
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
        structure: `"full"`, `"diagonal"` or `"low_rank"`: what is kept of H.
            Defaults to `"full"`, n² numbers for n weights.
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
        model,
        *,
        weights="all",
        structure="full",
        prior_precision=1.0,
        noise=1.0,
        rank=20,
    ):
        self.model = model
        self.structure = checked_choice("structure", structure, STRUCTURES)
        self._loss = summed_loss(model)
        self._layers = _layers(model, weights)
        self._rank = checked_integer("rank", rank, 1)
        self._given_precision = prior_precision
        self._noise = checked_number("noise", noise, above=0)
        self._posterior = None

    def fit(self, x, y=None, *, batch_size=256, verbose=0):
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
        operator = GaussNewton(
            self.model,
            x,
            y,
            loss=self._loss,
            layers=self._layers,
            batch_size=batch_size,
            verbose=verbose,
        )
        outputs = _width(operator)
        factor = likelihood_of(self._loss, outputs).factor
        posterior = STRUCTURES[self.structure].from_curvature(
            factor * operator, {"rank": self._rank}
        )
        loss = operator.loss - _penalty(self.model)
        facts = _Facts(loss, operator.samples * outputs, outputs)
        self._take(operator.variables, facts, posterior)
        return self

    @property
    def prior_precision(self):
        self._refuse_unfitted()
        return self._precision

    @prior_precision.setter
    def prior_precision(self, value):
        self._refuse_unfitted()
        self._precision = _per_variable(value, self.variables)
        self._normal = None

    @property
    def noise(self):
        return self._noise

    @noise.setter
    def noise(self, value):
        self._noise = checked_number("noise", value, above=0)
        self._normal = None

    def log_marginal_likelihood(self):
        """log p(data), the evidence, a float.

            log p(data | w*) − ½·(w*ᵀ·D·w* + log det P − log det D)

        with D = diag(prior_precision).
        """
        prior = self._prior()
        scatter = float(np.sum(prior * self._estimates() ** 2))
        occam = self._at().log_determinant - float(np.sum(np.log(prior)))
        fit = self._likelihood.log_likelihood(
            self._facts.loss, self._facts.count, self._noise
        )
        return fit - 0.5 * (scatter + occam)

    def tune(self, per_layer=False, max_iterations=200, tolerance=1e-4):
        """Sets prior precision and noise by maximizing the evidence.

        By MacKay's fixed point: δ = γ/‖w‖², noise² = Σr²/(N − Σγ), with the
        numbers γ of weights that the data determine.

        Args:
            per_layer: Bool, one precision for each layer instead of one for
                all. Defaults to `False`.
            max_iterations: Int. Defaults to 200.
            tolerance: Float, the relative change at which it ends. Defaults
                to 1e-4.

        Returns:
            The log marginal likelihood that was reached.
        """
        self._refuse_unfitted()
        groups = _groups(self.variables, per_layer)
        return maximize_evidence(
            self,
            groups,
            checked_integer("max_iterations", max_iterations, 1),
            checked_number("tolerance", tolerance, above=0),
        )

    def fixed_point(self, groups):
        """One step towards the maximum of the evidence, as `tune` takes it.

        Args:
            groups: Array, for each variable the number of its group.

        Returns:
            Tuple of a prior precision for each variable, and the noise.
        """
        sizes = [int(np.prod(v.shape)) for v in self.variables]
        ends = np.cumsum([0, *sizes])[:-1]
        shares = self._prior() * self._at().variances
        determined = np.array(sizes) - np.add.reduceat(shares, ends)
        squares = np.add.reduceat(self._estimates() ** 2, ends)
        precision = np.array(
            [
                determined[groups == g].sum() / squares[groups == g].sum()
                for g in groups
            ]
        )
        if self._likelihood.classes:
            return precision, self._noise
        free = self._facts.count - determined.sum()
        squares = 2 * self._likelihood.factor * self._facts.loss
        return precision, float(np.sqrt(squares / free))

    def predict(self, x, *, link="probit", samples=1000, seed=0):
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
        means, covariances = [], []
        for mean, rows in self._linearized(x):
            means.append(mean)
            covariances.append(self._at().covariance(rows))
        mean, covariance = np.concatenate(means), np.concatenate(covariances)
        if not self._likelihood.classes:
            return Prediction(mean, covariance, self._noise**2, None)
        probabilities = LINKS[link](
            mean,
            covariance,
            checked_integer("samples", samples, 1),
            np.random.default_rng(seed),
            isinstance(self._likelihood, Categorical),
        )
        return Prediction(mean, covariance, None, probabilities)

    def sample_functions(self, x, samples=10, seed=0):
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
        normals = np.random.default_rng(seed).normal(
            size=(samples, len(self._prior()))
        )
        drawn = self._at().samples(normals)
        return np.concatenate(
            [
                mean + np.einsum("bmn,sn->sbm", rows, drawn)
                for mean, rows in self._linearized(x)
            ],
            axis=1,
        )

    def save(self, path):
        """Writes all but the model to an `.npz` file.

        Args:
            path: String or path, beside the `.keras` file of the model.
        """
        self._refuse_unfitted()
        settings = {
            "structure": self.structure,
            "noise": self._noise,
            "indices": _indices(self.variables, self.model),
            "facts": self._facts._asdict(),
        }
        np.savez(
            path,
            settings=json.dumps(settings),
            prior_precision=self._precision,
            fitted=self._fitted,
            **{f"posterior_{k}": v for k, v in self._posterior.arrays.items()},
        )

    @classmethod
    def load(cls, path, model):
        """A posterior that was saved, for the model it belongs to.

        Args:
            path: String or path of the `.npz` file.
            model: The model, with the weights that it had at `fit`.
        """
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
        settings = json.loads(str(arrays.pop("settings")))
        facts = _Facts(**settings.pop("facts"))
        variables = [
            model.trainable_variables[k] for k in settings.pop("indices")
        ]
        self = cls(
            model,
            weights=[v.path for v in variables],
            prior_precision=list(arrays.pop("prior_precision")),
            **settings,
        )
        fitted = arrays.pop("fitted")
        posterior = STRUCTURES[self.structure](
            {k.removeprefix("posterior_"): v for k, v in arrays.items()}
        )
        self._take(variables, facts, posterior)
        self._fitted = fitted
        self._estimates()
        return self

    # What the methods share

    def _take(self, variables, facts, posterior):
        self.variables = variables
        self._facts, self._posterior = facts, posterior
        self._likelihood = likelihood_of(self._loss, facts.outputs)
        self._fitted = _flat(variables)
        self.prior_precision = self._given_precision

    def _prior(self):
        """The prior precision of each of the n weights."""
        self._refuse_unfitted()
        sizes = [int(np.prod(v.shape)) for v in self.variables]
        return np.repeat(self._precision, sizes)

    def _at(self):
        """The distribution for the prior and the noise of now."""
        if self._normal is None:
            scale = self._likelihood.scale(self._noise)
            self._normal = self._posterior.at(scale, self._prior())
        return self._normal

    def _estimates(self):
        """w*, if the model has them still."""
        self._refuse_unfitted()
        now = _flat(self.variables)
        if not np.array_equal(now, self._fitted):
            raise ValueError(
                "The model must have the weights that it had at fit(). "
                "Received: a model with other weights. Call fit() again, or "
                "load the weights that belong to the posterior."
            )
        return now

    def _refuse_unfitted(self):
        if self._posterior is None:
            raise ValueError(
                "A posterior needs data first. Received: a call before "
                "fit(x, y)."
            )

    def _linearized(self, x):
        """Outputs or logits, and Jacobians (batch, m, n), part by part."""
        size = len(self._estimates())
        at_once = max(1, _ENTRIES // (self._facts.outputs * size))
        x = keras.tree.map_structure(np.asarray, x)
        for start in range(0, len(keras.tree.flatten(x)[0]), at_once):
            rows = slice(start, start + at_once)
            part = keras.tree.map_structure(lambda a, r=rows: a[r], x)
            mean, rows = self._rows(keras.tree.map_structure(tf.constant, part))
            yield mean.numpy().astype(float), rows.numpy().astype(float)

    @functools.cached_property
    def _rows(self):
        def rows(x):
            mean, jacobians = per_sample_jacobian(
                lambda x: self._likelihood.latent(
                    self.model(x, training=False)
                ),
                x,
                self.variables,
            )
            flat = [
                tf.reshape(j, (tf.shape(mean)[0], self._facts.outputs, v_size))
                for j, v_size in zip(
                    jacobians,
                    (int(np.prod(v.shape)) for v in self.variables),
                    strict=True,
                )
            ]
            return mean, tf.concat(flat, 2)

        return tf.function(rows, reduce_retracing=True, autograph=False)


class _Facts(NamedTuple):
    """What the data said besides the curvature.

    Attributes:
        loss: Float, the loss of the data as a sum over samples.
        count: Int, the number of targets.
        outputs: Int, the outputs of a sample.
    """

    loss: float
    count: int
    outputs: int


def _layers(model, weights):
    """The patterns of `weights`, as operators take them."""
    if isinstance(weights, str) and weights == "all":
        return None
    if isinstance(weights, str) and weights == "last_layer":
        layers = [layer for layer in model.layers if layer.trainable_weights]
        if not layers:
            raise ValueError(
                "weights='last_layer' needs a layer with trainable weights. "
                f"Received: {model.name} without any."
            )
        return [v.path for v in layers[-1].trainable_weights]
    return weights


def _width(operator):
    """How many outputs a sample has, which must lie on one axis."""
    (shape,) = operator.output_shapes
    if len(shape) != 1 or shape[0] is None:
        raise ValueError(
            "A Laplace posterior needs a model with outputs of shape (batch, "
            f"outputs). Received: outputs of shape {(None, *shape)}. Flatten "
            "or pool them in the model."
        )
    return shape[0]


def _indices(variables, model):
    """Where the variables stand among the trainable ones of the model."""
    places = {id(v): k for k, v in enumerate(model.trainable_variables)}
    return [places[id(v)] for v in variables]


def _flat(variables):
    values = [np.asarray(v.value, float).ravel() for v in variables]
    return np.concatenate(values)


def _per_variable(value, variables):
    """The prior precision as an array, one number for each variable."""
    if isinstance(value, numbers.Real):
        value = [value] * len(variables)
    value = list(value)
    if len(value) != len(variables):
        raise ValueError(
            "`prior_precision` must be a number, or a list of one for each "
            f"of the {len(variables)} variables. Received: {len(value)}."
        )
    return np.array(
        [checked_number("prior_precision", float(v), above=0) for v in value]
    )


def _groups(variables, per_layer):
    """For each variable the number of the group whose precision it has."""
    if not checked_flag("per_layer", per_layer):
        return np.zeros(len(variables), int)
    names = [v.path.rpartition("/")[0] for v in variables]
    return np.array([sorted(set(names)).index(name) for name in names])


def _penalty(model):
    """The part of the loss that regularizers of weights add."""
    losses = model.losses
    regularized = [v for v in model.variables if v.regularizer is not None]
    if len(losses) > len(regularized):
        raise ValueError(
            "The loss must be a likelihood, and regularizers of weights at "
            f"most. Received: {len(losses) - len(regularized)} losses of "
            "add_loss() or activity regularizers."
        )
    return float(sum(float(loss) for loss in losses))
