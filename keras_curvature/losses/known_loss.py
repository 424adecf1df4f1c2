"""What this package must know of a loss, and the table of known ones."""

from __future__ import annotations

import collections.abc
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import keras
import tensorflow as tf

if TYPE_CHECKING:
    from keras_curvature.losses.term import LossTerm


class KnownLoss:
    """The curvature of a loss by the outputs, and its likelihood.

    A subclass says it for one loss and is registered with `register_loss`.
    Of the Hessian of the loss by the outputs, or of the Fisher information
    in its place, it gives the factor S with

        H_L = S·Sᵀ,  S = (I − p·1ᵀ)·diag(scale)

    as `squared_scale` and, for logits of several classes, `probabilities`.
    Where the targets are draws from a likelihood that the outputs describe,
    `sampled_score` draws them. A loss that is a mean of ρ(output − target)
    needs one method less: see `PointwiseLoss`.

    Example:

    The deviance of exponential waiting times, whose outputs are the
    logarithms of the mean times. Its second derivative target·exp(−output)
    has the expectation 1, the Fisher information.

    ```python
    import keras
    import tensorflow as tf
    import keras_curvature
    from keras_curvature.losses import KnownLoss, register_loss

    def exponential_deviance(y_true, y_pred):
        terms = y_pred + y_true * keras.ops.exp(-y_pred)
        return keras.ops.mean(terms, axis=-1)

    @register_loss(exponential_deviance)
    class ExponentialDeviance(KnownLoss):
        def squared_scale(self, term):
            return term.entry_weights()

        def sampled_score(self, term, draws):
            f = term.output
            drawn = -tf.exp(f) * tf.math.log(draws(tf.shape(f), f.dtype))
            entries = tf.cast(tf.shape(f)[-1], f.dtype)
            return (1 - drawn * tf.exp(-f)) / tf.sqrt(entries)

    model = keras_curvature.Sequential(
        [keras.Input((2,)), keras.layers.Dense(1)]
    )
    model.compile(
        keras_curvature.optimizers.LevenbergMarquardt(), exponential_deviance
    )
    x = keras.random.normal((16, 2))
    model.fit(x, keras.ops.exp(x[:, :1]), batch_size=16, verbose=0)
    ```
    """

    def squared_scale(self, term: LossTerm) -> tf.Tensor:
        """scale², not negative, and above 0 where the gradient is not 0.

        Args:
            term: `LossTerm`; holds the outputs, targets and all weights,
                which scale² contains: see `LossTerm.entry_weights`.

        Returns:
            Tensor that broadcasts to the shape of `term.output`.
        """
        raise NotImplementedError

    def probabilities(self, term: LossTerm) -> tf.Tensor | None:
        """p over the last axis of the outputs, or None where S is diagonal.

        Args:
            term: `LossTerm`.

        Returns:
            Tensor in the shape of `term.output`, or None.
        """
        return None

    def uses_information(self, term: LossTerm) -> bool:
        """Whether scale² is the Fisher information in place of H_L.

        Args:
            term: `LossTerm`.
        """
        return False

    def sampled_score(
        self, term: LossTerm, draws: Callable[[Any, tf.DType], tf.Tensor]
    ) -> tf.Tensor:
        """∂ℓ/∂output, ℓ the loss of a row of outputs, for drawn targets.

        Has mean 0 and the covariance S·Sᵀ that ℓ has with a weight of 1. Only
        these two moments count. Not overridden where there is no likelihood.

        Args:
            term: `LossTerm`.
            draws: Callable that maps a shape and a dtype to uniform numbers
                in [0, 1).

        Returns:
            Tensor in the shape of `term.output`.
        """
        raise NotImplementedError


_Known = TypeVar("_Known", bound=KnownLoss)

_KNOWN: dict[Any, KnownLoss] = {}


def register_loss(
    *losses: str | Callable[..., Any],
) -> Callable[[type[_Known]], type[_Known]]:
    """Class decorator that makes a `KnownLoss` known for Keras losses.

    A later registration for the same loss replaces the earlier one.

    Args:
        *losses: Loss functions, names of Keras losses such as `"log_cosh"`,
            or subclasses of `keras.losses.Loss` with their own `call`.

    Returns:
        Decorator of a subclass of `KnownLoss`, made without arguments.

    Raises:
        ValueError: if one of `losses` is none of these. Classes of Keras that
            only call a function, such as `keras.losses.Huber`, are known by
            that function.

    Example:

    A loss of one's own, robust against outliers:

    ```python
    import keras
    import tensorflow as tf
    import keras_curvature

    class Welsch(keras.losses.Loss):
        def __init__(self, width=1.0, **options):
            super().__init__(**options)
            self.width = width

        def call(self, y_true, y_pred):
            z = (y_pred - y_true) / self.width
            return keras.ops.mean(1 - keras.ops.exp(-(z**2) / 2), axis=-1)

    @keras_curvature.losses.register_loss(Welsch)
    class KnownWelsch(keras_curvature.losses.PointwiseLoss):
        def curvature(self, error, term):
            z = error / term.loss.width
            return tf.exp(-(z**2) / 2) / term.loss.width**2

    model = keras_curvature.Sequential(
        [keras.Input((2,)), keras.layers.Dense(1)]
    )
    model.compile(keras_curvature.optimizers.LevenbergMarquardt(), Welsch(2.0))
    x = keras.random.normal((16, 2))
    model.fit(x, x[:, :1], batch_size=16, verbose=0)
    ```
    """
    keys = [_key(loss) for loss in losses]

    def register(known):
        _KNOWN.update(dict.fromkeys(keys, known()))
        return known

    return register


def known_loss(term):
    """The `KnownLoss` of a `LossTerm`, or None."""
    if term.function is not None:
        is_hashable = isinstance(term.function, collections.abc.Hashable)
        return _KNOWN.get(term.function) if is_hashable else None
    kind = type(term.loss)
    for base in kind.__mro__:
        # A subclass that computes something else must be registered itself.
        if base in _KNOWN and _computes_like(kind, base):
            return _KNOWN[base]
    return None


def known_names(method):
    """Names of the losses whose `KnownLoss` has that method, sorted."""
    return sorted(
        getattr(key, "__name__", repr(key))
        for key, known in _KNOWN.items()
        if getattr(type(known), method) is not getattr(KnownLoss, method)
    )


def calls_function(kind):
    """Whether a class of losses calls a function and nothing of its own."""
    return _computes_like(kind, keras.losses.MeanSquaredError)


def _computes_like(kind, other):
    return kind.call is other.call and kind.__call__ is other.__call__


def _key(loss):
    if isinstance(loss, str):
        loss = keras.losses.get(loss)
    if isinstance(loss, keras.losses.Loss) and calls_function(type(loss)):
        loss = loss.fn
    is_loss_class = isinstance(loss, type) and issubclass(
        loss, keras.losses.Loss
    )
    is_valid = not calls_function(loss) if is_loss_class else callable(loss)
    if not is_valid or isinstance(loss, keras.losses.Loss):
        raise ValueError(
            "`losses` must be loss functions, names of Keras losses, or "
            "subclasses of keras.losses.Loss with their own call(). Received: "
            f"{loss!r}. Register the function that a loss calls "
            "(keras.losses.huber), or the class of an instance."
        )
    return loss
