"""What solvers for least squares refuse, at the first step."""

import keras

from keras_curvature.constraints.box import box_of
from keras_curvature.optimizers._common.other_losses import reason_to_refuse
from keras_curvature.optimizers._common.replicas import replica_count


def refuse_model(optimizer, step, may_mix_samples):
    """Raises for what would make steps of least squares wrong.

    Args:
        optimizer: The optimizer, for the errors.
        step: `TrainingStep`.
        may_mix_samples: Bool, whether the outputs of a sample may depend on
            the rest of the batch.
    """
    name = type(optimizer).__name__
    if replica_count() > 1:
        raise ValueError(
            f"{name} runs on one device. Received: a strategy with "
            f"{replica_count()} replicas. Train without a strategy."
        )
    if step.has_own_loss:
        raise ValueError(
            f"{name} takes only the loss of compile(). Received: "
            f"{type(step.model).__name__} with its own compute_loss(). "
            "Return residuals as outputs of the model and compile it "
            "with loss='mse'."
        )
    for layer in step.layers:
        reason = reason_to_refuse(layer, may_mix_samples)
        if reason:
            raise ValueError(
                f"{name} needs outputs that depend on the weights and on "
                f"one sample alone. Received: layer {layer.name!r}, "
                f"{reason}. Leave it out or set its `trainable` or rate "
                "so that it is inactive."
            )


def refuse_variables(optimizer, variables, keeps_bounds):
    """Raises for constraints and for mixed or narrow float types.

    Args:
        optimizer: The optimizer, for the errors.
        variables: List of the trainable variables.
        keeps_bounds: Bool, whether bounds are allowed.

    Returns:
        The float type that all variables have.
    """
    for variable in variables:
        if variable.constraint is None:
            continue
        if not (keeps_bounds and box_of(variable.constraint)):
            way = (
                "Use keras_curvature.constraints.Box or keras.constraints."
                "NonNeg, whose bounds it keeps"
                if keeps_bounds
                else "Use LevenbergMarquardt for bounds"
            )
            raise ValueError(
                f"{type(optimizer).__name__} needs variables without a "
                "constraint: a projection would undo a part of the step that "
                f"was judged. Received: {type(variable.constraint).__name__} "
                f"as constraint of {variable.path}. {way}, or write the "
                "constraint into the model (for example softplus of a free "
                "variable)."
            )
    dtypes = sorted({v.dtype for v in variables})
    if len(dtypes) != 1 or dtypes[0] not in ("float32", "float64"):
        raise ValueError(
            "`trainable_variables` must all be float32 or all float64. "
            f"Received: {', '.join(dtypes) or 'no variables'}."
        )
    return dtypes[0]


def refuse_narrow(step, dtype):
    """Raises where outputs or losses are rounded below the weights' dtype."""
    outputs = {o.dtype.name for o in keras.tree.flatten(step.outputs)}
    losses = {term.loss.dtype for term in step.loss_terms()}
    if outputs | losses != {dtype}:
        raise ValueError(
            f"The outputs and the loss must be computed in {dtype}, as the "
            f"weights are held. Received: outputs in {', '.join(outputs)} and "
            f"a loss in {', '.join(losses)}. Call keras.config.set_floatx("
            f"{dtype!r}) before the model and its loss are made, without a "
            "mixed dtype policy."
        )


def refuse_unknown_sizes(outputs):
    """Raises where an output has an unknown axis besides that of the batch."""
    for output in keras.tree.flatten(outputs):
        if None in output.shape[1:]:
            raise ValueError(
                "The outputs must have known sizes, apart from the batch axis, "
                "where the Jacobian of each is taken. Received: an output of "
                f"shape {tuple(output.shape)}. Give the data the sizes (arrays "
                "have them; of a dataset, padded_batch() takes "
                "`padded_shapes`), or let the model return a fixed number of "
                "values (a pooling layer)."
            )
