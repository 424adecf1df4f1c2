"""What the data said about the weights of a trained model."""

import dataclasses

import numpy as np

from keras_curvature.uncertainty._likelihoods import likelihood_of


@dataclasses.dataclass(frozen=True)
class Fit:
    """The curvature and the likelihood of data at trained weights.

    Attributes:
        variables: The weights, a list of `keras.Variable`s.
        values: Array of shape `(n,)`, the weights at that time.
        loss: Float, the loss as a sum over the samples.
        count: Int, the number of targets.
        outputs: Int, the outputs of a sample.
        likelihood: One of `_likelihoods`.
        structure: One of `_posteriors`.
    """

    variables: list
    values: np.ndarray
    loss: float
    count: int
    outputs: int
    likelihood: object
    structure: object

    @property
    def sizes(self):
        """The number of weights of each variable."""
        return np.array([int(np.prod(v.shape)) for v in self.variables])

    def refuse_moved(self):
        """Raises if the model has other weights by now."""
        if not np.array_equal(flat(self.variables), self.values):
            raise ValueError(
                "The model must have the weights that it had at fit(). "
                "Received: a model with other weights. Call fit() again, or "
                "load the weights that belong to the posterior."
            )


def fit(model, data, loss, layers, structure, *, rank, **options):
    """The `Fit` of a model to data.

    Args:
        model: `keras.Model`.
        data: Tuple of `x` and `y`, as operators take them.
        loss: `keras.losses.Loss` of `summed_loss`.
        layers: As operators take them.
        structure: Class of `_posteriors`.
        rank: Int, for a low rank.
        **options: Further ones of operators.
    """
    operator = structure.operator(
        model, *data, loss=loss, layers=layers, **options
    )
    outputs = _width(operator)
    likelihood = likelihood_of(loss, outputs)
    return Fit(
        variables=operator.variables,
        values=flat(operator.variables),
        loss=operator.loss - _penalty(model),
        count=operator.samples * outputs,
        outputs=outputs,
        likelihood=likelihood,
        structure=structure.from_curvature(operator, likelihood.factor, rank),
    )


def flat(variables):
    """All weights as one array, in float64."""
    values = [np.asarray(v.value, float).ravel() for v in variables]
    return np.concatenate(values)


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
