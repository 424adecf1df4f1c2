"""What `Optimizer.apply` is given, checked."""

from keras_curvature.optimizers._common.known_variables import check_known


def gradients_and_variables(optimizer, grads, trainable_variables):
    """Gradients and variables of a step, and which of them have curvature.

    Builds the optimizer where that has not happened.

    Returns:
        Lists of the gradients and of the variables, and the indices in them
        of the variables with a gradient that does not overwrite them.
    """
    if trainable_variables is None:
        trainable_variables = optimizer._trainable_variables
    grads, variables = list(grads), list(trainable_variables)
    if len(grads) != len(variables):
        raise ValueError(
            "`grads` must hold one gradient for each variable. Received: "
            f"{len(grads)} gradients for {len(variables)} variables. "
            "Without `trainable_variables` the optimizer must have been "
            "built: call `build(variables)` first."
        )
    optimizer.build(variables)
    check_known(optimizer, variables)
    indices = [
        i
        for i, (g, v) in enumerate(zip(grads, variables, strict=True))
        if g is not None and not is_overwritten(v)
    ]
    return grads, variables, indices


def is_overwritten(variable):
    """Whether a step replaces the variable by its gradient (a float8 scale)."""
    return getattr(variable, "overwrite_with_gradient", False)
