"""Why a solver stopped."""

from __future__ import annotations

import enum


class StopReason(str, enum.Enum):
    """Why a run of a solver ended, as its `stop_reason`.

    Members are strings, to compare and to store; `str(reason)` is the sentence
    for a reader.

    Example:

    ```python
    from keras_curvature.optimizers import StopReason

    reason = StopReason.PRECISION
    reason == "precision", reason.is_error  # True, False
    print(reason)  # No step lowers the loss any further at this precision.
    ```
    """

    GRADIENT_TOLERANCE = "gradient_tolerance"
    STEP_TOLERANCE = "step_tolerance"
    LOSS_TOLERANCE = "loss_tolerance"
    PRECISION = "precision"
    LOSS_CHANGED = "loss_changed"
    NON_FINITE = "non_finite"
    MIXED_SAMPLES = "mixed_samples"
    INDEFINITE = "indefinite"
    WEIGHTS_REWRITTEN = "weights_rewritten"

    @property
    def sentence(self) -> str:
        """What happened and, for an error, what to do about it."""
        return _SENTENCES[self]

    @property
    def is_error(self) -> bool:
        """Whether the run cannot go on, rather than has converged."""
        return self in _ERRORS

    @property
    def code(self) -> int:
        """The number that stands for it in the state of a solver, from 1."""
        return list(StopReason).index(self) + 1

    @staticmethod
    def of_code(code: int) -> StopReason | None:
        """The reason with this code; None for 0, a run that goes on."""
        return list(StopReason)[code - 1] if code else None

    def __str__(self) -> str:
        return self.sentence


# The code of a run that goes on.
RUNNING = 0
_ERRORS = {
    StopReason.LOSS_CHANGED,
    StopReason.NON_FINITE,
    StopReason.MIXED_SAMPLES,
    StopReason.INDEFINITE,
    StopReason.WEIGHTS_REWRITTEN,
}
_SENTENCES = {
    StopReason.GRADIENT_TOLERANCE: (
        "The gradient is within `gradient_tolerance`."
    ),
    StopReason.STEP_TOLERANCE: "The step is within `step_tolerance`.",
    StopReason.LOSS_TOLERANCE: (
        "The loss changed by less than `loss_tolerance`."
    ),
    StopReason.PRECISION: (
        "No step lowers the loss any further at this precision."
    ),
    StopReason.LOSS_CHANGED: (
        "The loss at the same weights was another one when it was evaluated "
        "again. This optimizer needs the same deterministic loss in every "
        "step. Use the whole data as one batch, `fit(batch_size=len(x), "
        "shuffle=False)`; or set `gradient_accumulation_steps` to the number "
        "of batches in an epoch, with shuffle=False and batches of equal "
        "size; and leave out Dropout, noise, random augmentation and layers "
        "that keep a state from one batch to the next."
    ),
    StopReason.NON_FINITE: (
        "The loss or its gradient is not finite at the weights that the model "
        "has. Look for NaN or infinite values in the data, or start from "
        "smaller weights."
    ),
    StopReason.MIXED_SAMPLES: (
        "The outputs for a batch differ from those for its samples one by "
        "one, but this optimizer takes the Jacobian of each sample alone. "
        "Look for a layer that mixes samples or draws random numbers in "
        "training, or use keras_curvature.optimizers.GaussNewton, which "
        "differentiates the batch as a whole."
    ),
    StopReason.INDEFINITE: (
        "The loss is no sum of squares: it curves down, or not at all where it "
        "has a gradient. Look for a negative sample, class or loss weight or a "
        "negative Poisson rate; a registered loss needs squared_scale > 0. "
        "keras_curvature.optimizers.LBFGS and NewtonCG take any loss."
    ),
    StopReason.WEIGHTS_REWRITTEN: (
        "Trainable weights came back with other values than they were given, "
        "step after step, so that no step can be judged. A layer that assigns "
        "its weights in the forward pass does this (SpectralNormalization), "
        "and so does a callback that changes weights during an epoch. Leave "
        "it out, freeze the layer, or use an optimizer that takes mini-batch "
        "steps."
    ),
}
