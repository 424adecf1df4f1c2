"""Variables and gradients that a solver is given, checked."""

import warnings

import keras
import tensorflow as tf


def in_order(optimizer, gradients, variables):
    """One gradient for each variable of `build`, None without one."""
    known = optimizer._trainable_variables
    ordered = [None] * len(known)
    for variable, gradient in zip(variables, gradients, strict=True):
        ordered[optimizer._get_variable_index(variable)] = gradient
    unused = [
        variable.path
        for variable, gradient in zip(known, ordered, strict=True)
        if gradient is None
    ]
    if len(unused) == len(ordered):
        raise ValueError(
            "`grads` must hold a gradient for at least one variable. "
            "Received: None for each."
        )
    if unused:
        warnings.warn(
            f"{optimizer.name}: there is no gradient for {', '.join(unused)}, "
            "so these variables stay as they are.",
            stacklevel=3,
        )
    return ordered


def refuse_variable(name, variable):
    """Raises for a variable that a trial point cannot be written to."""
    path = getattr(variable, "path", variable.name)
    if getattr(variable, "constraint", None) is not None:
        raise ValueError(
            f"{name} needs variables without a constraint, because a "
            "projection moves the trial point off the line that is searched. "
            f"Received: a constraint on {path}. Write the bound into the "
            "model (for example softplus of a free variable)."
        )
    dtype = keras.backend.standardize_dtype(variable.dtype)
    if dtype not in ("float32", "float64"):
        raise ValueError(
            f"{name} needs variables of float32 or float64, because losses "
            "of lower precision cannot be compared near a minimum. Received: "
            f"{path} of {dtype}."
        )


def refuse_half_precision(name, gradients):
    """Raises where the model reads its weights in float16 or bfloat16."""
    tensors = tf.nest.flatten(list(gradients), expand_composites=True)
    graphs = {g.graph for g in tensors if tf.is_symbolic_tensor(g)}
    for graph in graphs:
        for operation in graph.get_operations():
            if _reads_in_half_precision(operation):
                raise ValueError(
                    f"{name} needs a model that computes in float32 or "
                    "float64, because losses of lower precision cannot be "
                    "compared near a minimum. Received: weights that are "
                    f"read as {operation.outputs[0].dtype.name}, under a "
                    "mixed dtype policy. Build the model under the policy "
                    "'float32' or 'float64'."
                )


def _reads_in_half_precision(operation):
    return (
        operation.type == "Cast"
        and operation.outputs[0].dtype in (tf.float16, tf.bfloat16)
        and operation.inputs[0].op.type == "ReadVariableOp"
    )
