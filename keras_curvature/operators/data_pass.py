"""Sums over the batches of a data set, for other rooms."""

from keras_curvature._checks import checked_flag
from keras_curvature.operators._batches import Batches
from keras_curvature.operators._compiled import CompiledFunction
from keras_curvature.operators._flat import FlatVectors
from keras_curvature.operators._model_loss import ModelLoss
from keras_curvature.operators._model_operator import chosen_variables
from keras_curvature.operators._passes import Passes


class DataPass:
    """A pass over data, with the loss and the checks that operators have.

    Args:
        model, x, y, sample_weight: As for `Hessian`.
        loss, loss_weights, training, batch_size, verbose: As for `Hessian`.

    Attributes:
        model_loss: `ModelLoss`, which computes the loss of a batch.
    """

    def __init__(
        self,
        model,
        x,
        y=None,
        sample_weight=None,
        *,
        loss=None,
        loss_weights=None,
        training=False,
        batch_size=256,
        verbose=0,
    ):
        batches = Batches(x, y, sample_weight, batch_size)
        variables = chosen_variables(model, batches, None)
        self.model_loss = ModelLoss(
            model,
            loss,
            loss_weights,
            checked_flag("training", training),
            FlatVectors(variables).dtype,
        )
        self._passes = Passes(self.model_loss, batches, bool(verbose))
        self._compiled = {}

    @property
    def samples(self):
        """The number of samples in the data, an int."""
        return int(self._passes.survey.samples)

    def sum(self, function):
        """The sum of what a function returns for the batches.

        Args:
            function: Callable of `(batch, share)`, compiled once, that returns
                the part of the batch in the loss and a list of tensors.
        """
        if function not in self._compiled:
            self._compiled[function] = CompiledFunction(function, False)
        return self._passes.sum(self._compiled[function])
