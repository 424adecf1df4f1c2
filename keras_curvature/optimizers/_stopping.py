"""Why an optimizer ended a training, as a number that a graph can hold."""

import tensorflow as tf

NOT_STOPPED = 0
GRADIENT = 1
STEP = 2
LOSS = 3
PRECISION = 4
NOT_FINITE = 5
MIXED_SAMPLES = 6

_REASONS = {
    NOT_STOPPED: None,
    GRADIENT: "the gradient is within gradient_tolerance",
    STEP: "the step is within step_tolerance",
    LOSS: "the reduction of the loss is within loss_tolerance",
    PRECISION: "the loss cannot be lowered further in this floating-point "
    "precision",
    NOT_FINITE: "the loss or its derivatives are not finite at these weights",
}


def reason_of(code):
    """The sentence for a code, None while the training goes on."""
    return _REASONS[code]


def first_code(conditions):
    """The code of the first condition that holds.

    Args:
        conditions: List of pairs `(code, scalar bool tensor)`.
    """
    result = tf.constant(NOT_STOPPED)
    for code, holds in reversed(conditions):
        result = tf.where(holds, code, result)
    return result
