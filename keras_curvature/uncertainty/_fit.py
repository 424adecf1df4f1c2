"""What the data said about the weights of a trained model."""

import dataclasses

import keras
import numpy as np

from keras_curvature.autodiff.variables import checksum
from keras_curvature.uncertainty._arguments import refuse_other_targets
from keras_curvature.uncertainty._likelihoods import likelihood_of


@dataclasses.dataclass(frozen=True)
class Fit:
    """The curvature and the likelihood of data at trained weights.

    Attributes:
        model: The trained `keras.Model`.
        checksum: Int, of all its weights at that time.
        variables: The weights meant, a list of `keras.Variable`s.
        values: Array of shape `(n,)`, these weights.
        loss: Float, the loss as a sum over the samples.
        count: Int, the number of targets.
        outputs: Int, the outputs of a sample.
        likelihood: One of `_likelihoods`.
        structure: One of `_posteriors`.
    """

    model: keras.Model
    checksum: int
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
        is_same = np.array_equal(flat(self.variables), self.values)
        if not is_same or checksum(self.model) != self.checksum:
            raise ValueError(
                "The model must have the weights that it had at fit(), frozen "
                "ones and statistics of normalization too. Received: a model "
                "with other weights. Call fit() again, or "
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
    if likelihood.compares_entries:
        refuse_other_targets(data[1], operator)
    return Fit(
        model=model,
        checksum=checksum(model),
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
    shapes = operator.output_shapes
    if len(shapes) != 1 or len(shapes[0]) != 1 or shapes[0][0] is None:
        received = ", ".join(str((None, *shape)) for shape in shapes)
        raise ValueError(
            "A Laplace posterior needs a model with one output of shape "
            f"(batch, outputs). Received: outputs of shape {received}. "
            "Flatten, pool or concatenate them in the model."
        )
    return shapes[0][0]


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
