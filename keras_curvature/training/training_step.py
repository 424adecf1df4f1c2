"""What a training step of this package's models saw, kept on its tape."""

import dataclasses

import keras
import tensorflow as tf

from keras_curvature.losses.term import LossTerm
from keras_curvature.training._keras import (
    call_in_training,
    compiled_losses,
)


@dataclasses.dataclass(frozen=True)
class TrainingStep:
    """The batch, the outputs and the loss of one training step.

    `keras_curvature.Model` leaves it on the open `CurvatureTape`, as
    `CurvatureTape.current().training_step`, for optimizers that need more
    than the gradient. The tape has recorded `outputs` and `loss`.

    Args:
        model: The model that is trained.
        inputs: The batch's `x`, a structure of tensors.
        targets: The batch's `y`, a structure of tensors.
        outputs: What the model returned for `inputs`, before the loss.
        sample_weight: The batch's weights, class weights included, or None.
        loss: Scalar tensor, the loss with regularisers, before loss scaling.

    Example:

    ```python
    import keras
    import numpy as np
    import tensorflow as tf
    import keras_curvature

    class Watched(keras_curvature.Sequential):
        def train_step(self, data):
            with keras_curvature.autodiff.CurvatureTape() as tape:
                logs = super().train_step(data)
                print(tape.training_step.outputs.shape)
            return logs

    model = Watched([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", run_eagerly=True)
    model.fit(np.ones((8, 2)), np.zeros((8, 1)), verbose=0)
    ```
    """

    model: keras.Model
    inputs: object
    targets: object
    outputs: object
    sample_weight: object
    loss: tf.Tensor

    def forward(self, inputs=None):
        """The model's outputs in training mode at its current weights.

        Args:
            inputs: Structure of tensors. Defaults to those of the batch.
        """
        return call_in_training(
            self.model, self.inputs if inputs is None else inputs
        )

    @property
    def has_own_loss(self):
        """Whether the model's class computes more than the compiled loss."""
        own = type(self.model).compute_loss.__module__
        return own.split(".")[0] not in ("keras_curvature", "keras")

    def with_outputs(self, outputs):
        """The same step with other outputs and without their loss."""
        return dataclasses.replace(self, outputs=outputs, loss=None)

    def loss_terms(self):
        """The compiled losses, one `LossTerm` for each output that has one.

        Regularisers and losses from `add_loss` are none of them.

        Raises:
            ValueError: if the model was compiled without a loss.
        """
        losses = compiled_losses(self.model)
        if not losses:
            raise ValueError(
                "`loss` must be given to compile() of a model whose optimizer "
                "needs the Gauss-Newton form of the loss. Received: no "
                "compiled loss."
            )
        outputs = keras.tree.flatten(self.outputs)
        places = [_place(path, self.outputs) for path, _, _ in losses]
        targets = _of_outputs(self.targets, len(outputs), places, "y")
        weights = _of_outputs(
            self.sample_weight, len(outputs), places, "sample_weight"
        )
        return [
            LossTerm(loss, targets[i], outputs[i], weights[i], weight)
            for i, (_, loss, weight) in zip(places, losses, strict=True)
        ]


def _place(path, outputs):
    """Index of an output, given by its path, among the flattened outputs."""
    count = len(keras.tree.flatten(outputs))
    indices = keras.tree.pack_sequence_as(outputs, list(range(count)))
    for key in path:
        indices = indices[key]
    return indices


def _of_outputs(structure, count, places, name):
    """One entry for each output, from what `fit` was given."""
    if structure is None:
        return [None] * count
    flat = keras.tree.flatten(structure)
    if len(flat) == count:
        return flat
    if len(flat) == len(set(places)):
        # Outputs without a loss need no targets.
        entries = dict(zip(sorted(set(places)), flat, strict=True))
        return [entries.get(i) for i in range(count)]
    if len(flat) == 1:
        return flat * count
    raise ValueError(
        f"`{name}` must hold one tensor for each output of the model, or for "
        f"each output with a loss. Received: {len(flat)} tensors for {count} "
        f"outputs, {len(set(places))} with a loss."
    )
