"""What a training step of this package's models saw, kept on its tape."""

from __future__ import annotations

import dataclasses

import keras
import tensorflow as tf

from keras_curvature._typing import Structure
from keras_curvature.losses.compiled import compiled_losses
from keras_curvature.losses.term import LossTerm
from keras_curvature.training._keras import call_in_training, layers_of


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
        loss: Scalar tensor, the loss with regularizers, before loss scaling.

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

    def forward(self, inputs: Structure = None) -> Structure:
        """The model's outputs in training mode at its current weights.

        Args:
            inputs: Structure of tensors. Defaults to those of the batch.
        """
        return call_in_training(
            self.model, self.inputs if inputs is None else inputs
        )

    @property
    def layers(self) -> list[keras.Layer]:
        """All layers of the model, those of nested models included."""
        return layers_of(self.model)

    @property
    def has_own_loss(self) -> bool:
        """Whether the model's class computes more than the compiled loss."""
        own = type(self.model).compute_loss.__module__
        return own.split(".")[0] not in ("keras_curvature", "keras")

    def with_outputs(self, outputs: Structure) -> TrainingStep:
        """The same step with other outputs and without their loss."""
        return dataclasses.replace(self, outputs=outputs, loss=None)

    def loss_terms(self) -> list[LossTerm]:
        """The compiled losses, one `LossTerm` for each output that has one.

        Excludes regularizers and `add_loss`.

        Returns:
            List of `LossTerm`, in the order of the losses in `compile`.

        Raises:
            ValueError: if the model was compiled without a loss; if a loss
                takes several outputs; or if it takes the output of a softmax
                or sigmoid for logits.
        """
        calls = compiled_losses(
            self.model, self.targets, self.outputs, self.sample_weight
        )
        if not calls:
            raise ValueError(
                "`loss` must be given to compile() of a model whose optimizer "
                "needs the Gauss-Newton form of the loss. Received: no "
                "compiled loss."
            )
        terms = [LossTerm(*call) for call in calls]
        for term in terms:
            _refuse_structure(term)
            _refuse_probabilities_as_logits(term)
        return terms


def _refuse_structure(term):
    if keras.tree.is_nested(term.output):
        count = len(keras.tree.flatten(term.output))
        raise ValueError(
            "`loss` must take one output tensor at a time. Received: "
            f"{term.name} for {count} outputs. Give each output of the model "
            "a loss of its own in compile()."
        )


def _refuse_probabilities_as_logits(term):
    # Keras would go back to the logits before that activation, with a warning.
    if term.from_logits and hasattr(term.output, "_keras_logits"):
        raise ValueError(
            f"The output with the loss {term.name} must be logits where "
            "`from_logits` is True. Received: the output of a softmax or "
            "sigmoid. Leave out that activation or `from_logits`."
        )
