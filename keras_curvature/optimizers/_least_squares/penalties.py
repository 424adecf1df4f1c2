"""Penalties c·‖w‖² on weights, as residuals of least squares."""

import keras
import tensorflow as tf


def l2_penalty(optimizer, model, variables):
    """p with the penalty ½ Σ p·w² of L2 regularizers; None without any.

    Args:
        optimizer: The optimizer, for the errors.
        model: The model that has been called on the batch.
        variables: List of the trainable variables.

    Returns:
        Tensor of shape `(n,)`: 2c for each weight regularized by c·‖w‖².

    Raises:
        ValueError: if the model has other penalties.
    """
    name = type(optimizer).__name__
    regularized = [v for v in variables if v.regularizer is not None]
    for variable in regularized:
        regularizer = variable.regularizer
        is_l2 = type(regularizer) is keras.regularizers.L2
        if not is_l2 and not _is_l2_by_value(regularizer):
            raise ValueError(
                f"The regularizers must be keras.regularizers.L2 for {name}, "
                f"which minimizes squares. Received: {regularizer} on "
                f"{variable.path}. Use L2, or LBFGS."
            )
    others = len(model.losses) - len(regularized)
    if others > 0:
        raise ValueError(
            f"{name} takes the loss of compile() and L2 regularizers of "
            f"weights. Received: a model with {others} further losses, from "
            "add_loss() or activity regularizers. Return them as outputs of "
            "the model: a penalty c·a² is the squared error of √c·a against 0."
        )
    if not regularized:
        return None
    return tf.concat(
        [
            tf.fill(
                (v.value.shape.num_elements(),),
                tf.constant(
                    2 * float(v.regularizer.l2 if v.regularizer else 0), v.dtype
                ),
            )
            for v in variables
        ],
        axis=0,
    )


def _is_l2_by_value(regularizer):
    return type(regularizer) is keras.regularizers.L1L2 and not regularizer.l1
