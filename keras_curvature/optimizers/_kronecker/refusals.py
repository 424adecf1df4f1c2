"""Where two losses cannot be compared, and adaptive damping is refused."""

import keras
import tensorflow as tf

from keras_curvature.optimizers._common.other_losses import reason_to_refuse
from keras_curvature.optimizers._common.replicas import replica_count


def refuse_accumulation(optimizer):
    """Raises where a step is that of batches which are past."""
    steps = optimizer.gradient_accumulation_steps
    if steps:
        raise ValueError(
            "`gradient_accumulation_steps` is not an option with "
            "`adaptive_damping`, which evaluates the loss of a step's batch "
            f"again. Received: gradient_accumulation_steps={steps}. Use a "
            "larger batch_size, or leave `adaptive_damping` out."
        )


def refuse_step(optimizer, step, tape):
    """Raises where the loss of the batch cannot be evaluated again.

    Args:
        optimizer: The optimizer, for the errors.
        step: `TrainingStep`, or None where it was not shown.
        tape: `CurvatureTape`, or None.
    """
    if step is None:
        raise RuntimeError(
            f"`adaptive_damping` of {optimizer.name} evaluates the loss of "
            "the batch again after the step, which a plain Keras model does "
            "not show. Received: no training step. Build the model with "
            "keras_curvature.Model or Sequential, or leave it out."
        )
    if replica_count() > 1:
        raise ValueError(
            "`adaptive_damping` runs on one device. Received: a strategy with "
            f"{replica_count()} replicas. Leave it out, or train without a "
            "strategy."
        )
    dtypes = {tf.as_dtype(o.dtype) for o in keras.tree.flatten(step.outputs)}
    if tape.loss_scale is not None or not dtypes <= {tf.float32, tf.float64}:
        names = ", ".join(sorted(dtype.name for dtype in dtypes))
        raise ValueError(
            "`adaptive_damping` compares losses, which half precision does "
            f"not let tell apart. Received: outputs in {names}. Use the dtype "
            "policy 'float32' or 'float64', or leave it out."
        )
    for layer in step.layers:
        reason = reason_to_refuse(layer, may_mix_samples=True)
        if reason:
            raise ValueError(
                "`adaptive_damping` compares two losses of the same batch. "
                f"Received: layer {layer.name!r}, {reason}. Leave out "
                "`adaptive_damping` or the layer."
            )
