"""Passes over a data set, all of which must see the same."""

import keras
import numpy as np
import tensorflow as tf

from keras_curvature.autodiff.variables import checksum
from keras_curvature.operators._compiled import CompiledFunction
from keras_curvature.operators._model_loss import Share
from keras_curvature.operators._refusals import refuse_xla
from keras_curvature.operators._replicated import (
    ReplicatedFunction,
    rows_of,
    rows_of_replicas,
)
from keras_curvature.operators._survey import (
    RandomStates,
    Surveyor,
    order_of,
    unchanged_state,
)


class Passes:
    """Sums functions of batches over a data set.

    Before the first of them, one forward pass counts the samples and computes
    the loss; each later pass must come to the same loss.

    Args:
        model_loss: `ModelLoss`, kept as an attribute.
        batches: `Batches`, kept as an attribute.
        verbose: Bool, whether to show the progress.
        ordered: Bool, whether the samples must come in the same order in each
            pass. Defaults to False.
        strategy: `tf.distribute.MirroredStrategy` over whose replicas each
            batch is split, or None for one device. Defaults to None.
    """

    def __init__(
        self, model_loss, batches, verbose, ordered=False, strategy=None
    ):
        self.model_loss = model_loss
        self.batches = batches
        self._verbose = verbose
        self._ordered = ordered
        self._strategy = strategy
        self._order = None
        self._surveyor = Surveyor(model_loss)
        self._survey_batch = CompiledFunction(self._surveyor.of_batch, False)
        self._survey = None

    @property
    def survey(self):
        """The `Survey` of the first pass."""
        if self._survey is None:
            self._survey = self._make_survey()
        return self._survey

    @property
    def loss(self):
        """The loss at the weights that the model has now, a float."""
        if self.survey.checksum != checksum(self.model_loss.model):
            self._survey = self._make_survey()
        return self._survey.loss

    def refuse_xla(self, jit_compile):
        """Raises where functions cannot be compiled by XLA but should be."""
        refuse_xla(self._strategy, jit_compile)

    def compiled(self, function, jit_compile=False):
        """A function of a batch, for `sum` and `each`.

        Args:
            function: Callable of `(batch, share, *tensors)` that returns the
                part of the batch in the loss and a list of tensors.
            jit_compile: Bool. Defaults to False.
        """
        self.refuse_xla(jit_compile)
        return ReplicatedFunction(
            function,
            jit_compile,
            self._strategy,
            lambda: self.survey.usual_size,
        )

    def sum(self, function, *tensors, at_once=None):
        """The sum of what a function returns for the batches.

        Args:
            function: What `compiled` returns.
            *tensors: Tensors, the same for all batches.
            at_once: Int, the most samples of a batch, or None.
        """
        totals = None
        every = self._each(function, lambda *_: tensors, at_once, summed=True)
        for results in every:
            if totals is None:
                totals = list(results)
            else:
                # One after the other, which holds less than all anew.
                for k in range(len(totals)):
                    totals[k] += results[k]
            del results
        return totals

    def each(self, function, tensors_for, at_once=None):
        """What a function returns for each of the batches or their parts.

        Args:
            function: As for `sum`.
            tensors_for: Callable that maps the numbers of samples before and
                in a batch to the tensors for it.
            at_once: Int, the most samples of a batch, or None.
        """
        return self._each(function, tensors_for, at_once, summed=False)

    def _each(self, function, tensors_for, at_once, summed):
        strategy, survey = self._strategy, self.survey
        if strategy is not None and not survey.by_samples:
            raise ValueError(_NOT_TO_BE_SPLIT)
        loss, before, order = 0.0, 0, 0.0
        with unchanged_state(self.model_loss.model):
            for batch in _in_parts(self._with_progress(), at_once):
                parts = []
                for part in rows_of_replicas(batch, _size(batch), strategy):
                    size = _size(part)
                    tensors = tensors_for(before, size)
                    parts.append((part, self._share(before), *tensors))
                    if self._ordered:
                        order += order_of(part, before)
                    before += size
                for part_of_loss, results in function(parts, summed):
                    loss += float(part_of_loss)
                    yield results
                    # Not to be held while the next ones are computed.
                    del results
        self._refuse_change(loss)
        if self._ordered:
            self._refuse_other_order(order)

    def _share(self, before):
        survey = self._survey
        before = tf.constant(before, tf.int64)
        return Share(survey.divisors, survey.samples, before)

    def _make_survey(self):
        model = self.model_loss.model
        with unchanged_state(model):
            states = RandomStates(model)

            def results():
                for number, batch in enumerate(self.batches):
                    result = self._survey_batch(batch)
                    states.refuse_draws()
                    if number == 0:
                        again = self._survey_batch(batch)
                        self._refuse_change_of_batch(result, again)
                    yield batch, result

            return self._surveyor.survey(results())

    def _refuse_change_of_batch(self, first, second):
        """Raises where two calls of the model in a row differ."""
        first, second = (
            float(tf.reduce_sum(r[0]) + r[3]) for r in (first, second)
        )
        if not self._is_close(first, second):
            raise ValueError(_CHANGED.format(first, second))

    def _with_progress(self):
        if not self._verbose:
            yield from self.batches
            return
        bar = keras.utils.Progbar(self.batches.count, unit_name="batch")
        number = 0
        for number, batch in enumerate(self.batches, start=1):
            yield batch
            bar.update(number, finalize=number == self.batches.count)
        if self.batches.count is None:
            bar.update(number, finalize=True)

    def _refuse_change(self, loss):
        """Raises where a pass saw another loss than the one before."""
        if self._is_same(loss):
            return
        if checksum(self.model_loss.model) != self._survey.checksum:
            # The weights are others by now, as after a training.
            self._survey = self._make_survey()
            if self._is_same(loss):
                return
        raise ValueError(_CHANGED.format(self._survey.loss, loss))

    def _refuse_other_order(self, order):
        """Raises where the samples came in another order than before."""
        if self._order is None:
            self._order = order
        if not np.isclose(order, self._order, rtol=1e-9, equal_nan=True):
            raise ValueError(
                "The samples must come in the same order in each pass over "
                "the data for Jacobian and for "
                'Fisher(kind="monte_carlo"), whose rows and draws belong to '
                "single samples. Received: a data set that shuffles. Leave "
                "that out."
            )

    def _is_same(self, loss):
        return self._is_close(self._survey.loss, loss)

    def _is_close(self, expected, loss):
        tolerance = self._surveyor.rounding
        close = abs(loss - expected) <= tolerance * max(abs(expected), 1e-30)
        return close or not np.isfinite(expected)


_CHANGED = (
    "A curvature operator needs data and a model that are the same in each "
    "pass over the data. Received: a loss of {:.9g} in one pass and {:.9g} in "
    "another. Look for random layers or augmentation, a generator that runs "
    "out, or a data set that changes; on several replicas also for layers "
    "that mix the samples of a batch."
)

_NOT_TO_BE_SPLIT = (
    "`loss` must give a value for each sample on several replicas, which have "
    "parts of a batch each. Received: a loss that averages or adds up the "
    "samples itself. Write the loss so that it reduces the last axis only, or "
    "load the model outside of the strategy."
)


def _size(batch):
    return tf.nest.flatten(batch[0])[0].shape[0]


def _in_parts(batches, at_once):
    """The batches, each in parts of at most so many samples."""
    for batch in batches:
        size = _size(batch)
        if at_once is None or size <= at_once:
            yield batch
            continue
        for start in range(0, size, at_once):
            yield rows_of(batch, slice(start, start + at_once))
