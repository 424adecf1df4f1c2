"""Passes over a data set, all of which must see the same."""

import keras
import numpy as np
import tensorflow as tf

from keras_curvature.operators._compiled import CompiledFunction
from keras_curvature.operators._model_loss import Share
from keras_curvature.operators._survey import (
    RandomStates,
    Surveyor,
    checksums,
    order_of,
    unchanged_state,
)


class Passes:
    """Sums functions of batches over a data set.

    Before the first of them, one forward pass counts the samples and computes
    the loss; each later pass must come to the same loss.

    Args:
        model_loss: `ModelLoss`.
        batches: `Batches`.
        verbose: Bool, whether to show the progress.
        ordered: Bool, whether the samples must come in the same order in each
            pass. Defaults to False.
    """

    def __init__(self, model_loss, batches, verbose, ordered=False):
        self._model_loss = model_loss
        self._batches = batches
        self._verbose = verbose
        self._ordered = ordered
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
        if self.survey.weights != checksums(self._model_loss.model):
            self._survey = self._make_survey()
        return self._survey.loss

    def sum(self, function, *tensors, at_once=None):
        """The sum of what a function returns for the batches.

        Args:
            function: `CompiledFunction` of `(batch, share, *tensors)` that
                returns the part of the batch in the loss and a list of
                tensors.
            *tensors: Tensors, the same for all batches.
            at_once: Int, the most samples of a batch, or None.
        """
        totals = None
        for results in self.each(function, lambda *_: tensors, at_once):
            totals = (
                results
                if totals is None
                else [a + b for a, b in zip(totals, results, strict=True)]
            )
        return totals

    def each(self, function, tensors_for, at_once=None):
        """What a function returns for each of the batches.

        Args:
            function: As for `sum`.
            tensors_for: Callable that maps the numbers of samples before and
                in a batch to the tensors for it.
            at_once: Int, the most samples of a batch, or None.
        """
        survey = self.survey
        loss, before, order = 0.0, 0, 0.0
        with unchanged_state(self._model_loss.model):
            for batch in _in_parts(self._with_progress(), at_once):
                share = Share(
                    survey.divisors,
                    survey.samples,
                    tf.constant(before, tf.int64),
                )
                size = _size(batch)
                part, results = function(
                    batch, share, *tensors_for(before, size)
                )
                loss += float(part)
                if self._ordered:
                    order += order_of(batch, before)
                before += size
                yield results
        self._refuse_change(loss)
        if self._ordered:
            self._refuse_other_order(order)

    def _make_survey(self):
        model = self._model_loss.model
        with unchanged_state(model):
            states = RandomStates(model)

            def results():
                for number, batch in enumerate(self._batches):
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
            yield from self._batches
            return
        bar = keras.utils.Progbar(self._batches.count, unit_name="batch")
        number = 0
        for number, batch in enumerate(self._batches, start=1):
            yield batch
            bar.update(number, finalize=number == self._batches.count)
        if self._batches.count is None:
            bar.update(number, finalize=True)

    def _refuse_change(self, loss):
        """Raises where a pass saw another loss than the one before."""
        if self._is_same(loss):
            return
        before = self._survey.weights
        if checksums(self._model_loss.model) != before:
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
    "out, or a data set that changes."
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
            rows = slice(start, start + at_once)
            yield tf.nest.map_structure(
                lambda t, rows=rows: None if t is None else t[rows], batch
            )
