"""The loss that a solver compares with those of other steps."""


def seen_loss(optimizer):
    """The loss of this step, of an optimizer that `SeesLoss`.

    Raises:
        RuntimeError: if `scale_loss` was not called in this step.
    """
    loss = optimizer._seen_loss()
    if loss is None:
        raise RuntimeError(
            f"{optimizer.name} compares losses, so it must see the loss of "
            "each step: `optimizer.scale_loss(loss)` must be called inside "
            "the tape before `optimizer.apply`. Received: no loss. "
            "`model.fit` calls it, unless the optimizer is wrapped: under the "
            "dtype policy 'mixed_float16' Keras wraps it in a "
            "LossScaleOptimizer, whose half-precision losses no line search "
            "can compare; use 'float32' or 'float64'. In a training loop of "
            "your own, write `loss = optimizer.scale_loss(loss)`."
        )
    return loss
