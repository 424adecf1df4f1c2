"""Optimizers that see the loss of a step, where Keras shows it to them."""

import threading
import weakref

import tensorflow as tf


class _Losses(threading.local):
    """The last loss of each optimizer, for each thread its own.

    `tf.distribute.MirroredStrategy` traces every replica in a thread.
    """

    def __init__(self):
        self.of = weakref.WeakKeyDictionary()


_losses = _Losses()


class SeesLoss:
    """Keeps the loss that `scale_loss` is given for the `apply` after it."""

    def scale_loss(self, loss: tf.Tensor) -> tf.Tensor:
        _losses.of[self] = loss
        return super().scale_loss(loss)

    def _seen_loss(self):
        """The loss of this step without its scale, or None; forgotten here."""
        return _losses.of.pop(self, None)
