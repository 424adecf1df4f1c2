"""What a method of least squares proposes at the current weights."""

import typing

import tensorflow as tf


class Proposals(typing.NamedTuple):
    """What a method makes of a batch at the current weights.

    Attributes:
        propose: Callable that maps `(attempt, radius, damping)` to a
            `Proposal`.
        norm: Scalar tensor, the norm of the weights in which lengths are
            measured.
        gradient: Scalar tensor, to be held against `gradient_tolerance`, in
            units of the square root of the loss.
        kept: Dict of tensors, new values for the method's own state. They are
            dropped where loss or gradient is not finite.
        is_mixed: Scalar bool tensor, whether the outputs were found to depend
            on more than the weights and what `may_mix_samples` allows.
        bounds: `Bounds` that the weights have to keep, or None.
    """

    propose: typing.Callable
    norm: tf.Tensor
    gradient: tf.Tensor
    kept: dict
    is_mixed: tf.Tensor
    bounds: typing.Any = None
