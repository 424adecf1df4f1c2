"""Why a solver stopped."""

import enum


class Status(enum.IntEnum):
    """The state of a run, as its `status` variable holds it."""

    RUNNING = 0
    GRADIENT = 1
    STEP = 2
    LOSS = 3
    PRECISION = 4
    BATCHES = 5
    NON_FINITE = 6
    MIXED_SAMPLES = 7


FIRST_ERROR = Status.BATCHES

REASONS = {
    Status.GRADIENT: "The gradient is below `gradient_tolerance`.",
    Status.STEP: "The step is within `step_tolerance`.",
    Status.LOSS: "The loss changed by less than `loss_tolerance`.",
    Status.PRECISION: (
        "No step lowers the loss any further at this precision."
    ),
    Status.BATCHES: (
        "The loss at the same weights was another one when it was evaluated "
        "again. This optimizer needs the same deterministic loss in every "
        "step. Use the whole data as one batch, `fit(batch_size=len(x), "
        "shuffle=False)`; or set `gradient_accumulation_steps` to the number "
        "of batches in an epoch, with shuffle=False and batches of equal "
        "size; and leave out Dropout, noise and random augmentation."
    ),
    Status.NON_FINITE: (
        "The loss or its gradient is not finite at the initial weights. "
        "Look for NaN in the data, or start from smaller weights."
    ),
    Status.MIXED_SAMPLES: (
        "The outputs for a batch differ from those for its samples one by "
        "one, but this optimizer takes the Jacobian of each sample alone. "
        "Look for a layer that mixes samples or draws random numbers in "
        "training, or use keras_curvature.optimizers.GaussNewton, which "
        "differentiates the batch as a whole."
    ),
}
