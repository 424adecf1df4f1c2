"""The loss that Keras shows an optimizer before it takes the gradient."""

import threading
import weakref


class _Losses(threading.local):
    """The last loss of each optimizer, for each thread its own.

    `tf.distribute.MirroredStrategy` traces every replica in a thread.
    """

    def __init__(self):
        self.of = weakref.WeakKeyDictionary()


_losses = _Losses()


def remember(optimizer, loss):
    """Keeps the loss for the `apply` of the same step."""
    _losses.of[optimizer] = loss


def take(optimizer):
    """The loss of this step, forgotten here.

    Raises:
        RuntimeError: if `scale_loss` was not called in this step.
    """
    try:
        return _losses.of.pop(optimizer)
    except KeyError:
        raise RuntimeError(
            f"{optimizer.name} compares losses, so it must see the loss of "
            "each step: `optimizer.scale_loss(loss)` must be called inside "
            "the tape before `optimizer.apply`. Received: no loss. "
            "`model.fit` calls it, unless the optimizer is wrapped: under the "
            "dtype policy 'mixed_float16' Keras wraps it in a "
            "LossScaleOptimizer, whose half-precision losses no line search "
            "can compare; use 'float32' or 'float64'. In a training loop of "
            "your own, write `loss = optimizer.scale_loss(loss)`."
        ) from None
