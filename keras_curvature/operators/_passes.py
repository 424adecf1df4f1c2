"""Passes over a data set, all of which must see the same."""

import keras
import numpy as np
import tensorflow as tf

from keras_curvature.operators._compiled import CompiledFunction
from keras_curvature.operators._model_loss import Share, samples_in
from keras_curvature.operators._survey import (
    RandomStates,
    Surveyor,
    checksums,
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
    """

    def __init__(self, model_loss, batches, verbose):
        self._model_loss = model_loss
        self._batches = batches
        self._verbose = verbose
        self._surveyor = Surveyor(model_loss)
        self._survey_batch = CompiledFunction(self._surveyor.of_batch, False)
        self._survey = None

    @property
    def survey(self):
        """The `Survey` of the first pass."""
        if self._survey is None:
            self._survey = self._make_survey()
        return self._survey

    def sum(self, function, *tensors):
        """The sum of what a function returns for the batches.

        Args:
            function: `CompiledFunction` of `(batch, share, *tensors)` that
                returns the part of the batch in the loss and a list of
                tensors.
            *tensors: Tensors, the same for all batches.
        """
        survey = self.survey
        loss, totals = 0.0, None
        with unchanged_state(self._model_loss.model):
            before = 0
            for batch in self._with_progress():
                share = Share(
                    survey.divisors,
                    survey.samples,
                    tf.constant(before, tf.int64),
                )
                part, results = function(batch, share, *tensors)
                loss += float(part)
                before += int(samples_in(batch))
                totals = (
                    results
                    if totals is None
                    else [a + b for a, b in zip(totals, results, strict=True)]
                )
        self._refuse_change(loss)
        return totals

    def _make_survey(self):
        model = self._model_loss.model
        with unchanged_state(model):
            states = RandomStates(model)

            def results():
                for batch in self._batches:
                    yield batch, self._survey_batch(batch)
                    states.refuse_draws()

            return self._surveyor.survey(results())

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
        raise ValueError(
            "A curvature operator needs data and a model that are the same "
            "in each pass over the data. Received: a loss of "
            f"{self._survey.loss:.9g} in one pass and {loss:.9g} in another. "
            "Look for random layers or augmentation, a generator that runs "
            "out, or a data set that changes."
        )

    def _is_same(self, loss):
        expected = self._survey.loss
        tolerance = np.sqrt(np.finfo(self._model_loss.dtype.as_numpy_dtype).eps)
        close = abs(loss - expected) <= tolerance * max(abs(expected), 1e-30)
        return close or not np.isfinite(expected)
