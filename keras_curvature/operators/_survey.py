"""The first pass over a data set: counts, losses, and what is random."""

import collections
import contextlib
import dataclasses
import math

import numpy as np
import tensorflow as tf

from keras_curvature.autodiff.variables import checksum
from keras_curvature.operators._model_loss import Share, samples_in

# Batches of one size that are worth a trace of its own.
_MANY = 8


@dataclasses.dataclass(frozen=True)
class Survey:
    """What the first pass over the data found.

    Attributes:
        divisors: Tensor of shape `(terms,)`, see `Share`.
        samples: Scalar tensor, the number of samples.
        loss: Float, Keras's loss of all data as one batch.
        checksum: Int, of the weights at which that was.
        by_samples: Bool, whether each loss has a value for each sample.
        usual_size: Int, the samples of most batches, if they are all or many;
            else None.
        shapes: Tuple, for each loss the shape of its outputs of a sample,
            with None where that varies.
    """

    divisors: tf.Tensor
    samples: tf.Tensor
    loss: float
    checksum: int
    by_samples: bool
    usual_size: int | None
    shapes: tuple

    @property
    def widths(self):
        """For each loss the number of outputs of a sample, None if unknown."""
        return tuple(
            None if None in shape else math.prod(shape) for shape in self.shapes
        )


class Surveyor:
    """Makes surveys.

    Args:
        model_loss: `ModelLoss`.
    """

    def __init__(self, model_loss):
        self._model_loss = model_loss
        # How each loss is reduced, known when the model is first called.
        self._reductions = []
        self._shapes = ()
        self._dtypes = ()

    @property
    def rounding(self):
        """The relative error of losses that are the same: √ε of the narrowest.

        A model may hold layers, and a loss may have a dtype, of its own.
        """
        layers = self._model_loss.model._flatten_layers()
        dtypes = {*self._dtypes, *(layer.compute_dtype for layer in layers)}
        floats = [d for d in dtypes if d in ("float32", "float64")]
        floats.append(self._model_loss.dtype.name)
        return float(np.sqrt(max(np.finfo(d).eps for d in floats)))

    def of_batch(self, batch):
        """What `survey` needs of a batch, as a function to compile.

        Returns:
            Tuple of the sums of the losses, their divisors and their numbers
            of rows, each of shape `(terms,)`, and the additional losses.
        """
        model_loss = self._model_loss
        dtype = model_loss.dtype
        terms = model_loss.terms(batch, model_loss.outputs(batch[0]))
        one = tf.ones((), dtype)
        alone = Share(one, one * tf.cast(samples_in(batch), dtype), 0)
        additional = model_loss.additional(batch, alone)
        self._reductions = [_reduction(term) for term in terms]
        self._dtypes = tuple(term.loss.dtype for term in terms)
        self._shapes = tuple(tuple(term.output.shape[1:]) for term in terms)
        sums, divisors, rows = [], [], []
        for term, reduction in zip(terms, self._reductions, strict=True):
            is_own = reduction == "its own"
            sums.append((term if is_own else term.undivided()).value())
            divisors.append(one if reduction != "mean" else term.divisor())
            rows.append(samples_in(batch) if is_own else term.rows())
        return (
            _vector(sums, dtype),
            _vector(divisors, dtype),
            _vector(rows, tf.int32),
            additional,
        )

    def survey(self, batches_and_results):
        """The survey of all batches.

        Args:
            batches_and_results: Iterable of pairs of a batch and what
                `of_batch` returned for it.
        """
        samples, sizes = 0, collections.Counter()
        sums = divisors = additional = 0.0
        by_samples = True
        for batch, (sum_, divisor, rows, more) in batches_and_results:
            size = int(samples_in(batch))
            samples += size
            sizes[size] += 1
            sums, divisors = sums + sum_.numpy(), divisors + divisor.numpy()
            additional += size * float(more)
            by_samples &= self._is_by_samples(size, rows.numpy())
            if sizes.total() > 1 and not by_samples:
                raise ValueError(_NOT_BY_SAMPLES)
        if not sizes:
            raise ValueError("`x` must hold at least one batch. Received: 0.")
        means = np.array([r == "mean" for r in self._reductions], bool)
        divisors = np.where(means, divisors, 1.0)
        values = np.divide(
            sums, divisors, out=np.zeros_like(divisors), where=divisors != 0
        )
        dtype = self._model_loss.dtype
        return Survey(
            tf.constant(divisors, dtype),
            tf.constant(samples, dtype),
            float(values.sum() + additional / samples),
            checksum(self._model_loss.model),
            by_samples,
            _usual(sizes),
            self._shapes,
        )

    def _is_by_samples(self, size, rows):
        own = np.array(self._reductions) == "its own"
        return not ((rows != size) | own).any()


_NOT_BY_SAMPLES = (
    "`loss` must give a value for each sample, or all data must be one batch: "
    "nobody knows how the losses of several batches add up otherwise. "
    "Received: a loss that averages or adds up the samples itself, and more "
    "than one batch. Write the loss so that it reduces the last axis only, or "
    "raise `batch_size`."
)


def _usual(sizes):
    """The size of most batches, where these are all or many."""
    ((size, count),) = sizes.most_common(1)
    # A function is traced in the time of some dozens of its calls.
    return size if count == sizes.total() or count >= _MANY else None


def _reduction(term):
    if term.rows() is None:
        return "its own"
    return "mean" if term.divisor() is not None else "sum"


def _vector(values, dtype):
    if not values:
        return tf.zeros((0,), dtype)
    return tf.stack([tf.cast(value, dtype) for value in values])


def order_of(batch, before):
    """A number that changes with the order of the samples.

    Args:
        batch: Batch of tensors.
        before: Int, the number of samples in earlier batches.
    """
    order = 0.0
    for tensor in tf.nest.flatten(batch[0]):
        if tensor.dtype.is_floating or tensor.dtype.is_integer:
            rows = tensor.numpy().reshape((len(tensor), -1))
            places = np.arange(before + 1, before + len(rows) + 1)
            order += places @ rows.sum(1, dtype="float64")
    return order


@contextlib.contextmanager
def unchanged_state(model):
    """Puts back what forward passes change: statistics, states of seeds."""
    trainable = {id(v) for v in model.trainable_variables}
    state = [v for v in model.variables if id(v) not in trainable]
    before = [tf.identity(v.value) for v in state]
    try:
        yield
    finally:
        for variable, value in zip(state, before, strict=True):
            variable.assign(value)


class RandomStates:
    """The states of the generators of random numbers in a model."""

    def __init__(self, model):
        self._model = model
        weights = {id(v) for v in model.weights}
        self._states = [v for v in model.variables if id(v) not in weights]
        self._before = [v.numpy() for v in self._states]

    def refuse_draws(self):
        """Raises where random numbers were drawn, naming the layers."""
        layers = [
            self._owner(state)
            for state, before in zip(self._states, self._before, strict=True)
            if not np.array_equal(state.numpy(), before)
        ]
        if layers:
            raise ValueError(
                "A curvature operator needs a model that computes the same "
                "each time it is called. Received: random numbers drawn in "
                f"{', '.join(layers)}. Pass training=False, or take a copy of "
                "the model without these layers."
            )

    def _owner(self, state):
        """The name of the innermost layer that has a state."""
        owners = [
            layer
            for layer in self._model._flatten_layers()
            if any(v is state for v in layer.variables)
        ]
        return min(owners, key=lambda layer: len(layer.variables)).name
