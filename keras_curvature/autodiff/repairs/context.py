"""The context in which TensorFlow's second derivatives are exact.

TensorFlow finds the gradient function of an operation by one lookup, tapes
and graphs, functions and branches and loops alike. While the context is open,
that lookup answers this thread from `table.py`; other threads, and every
thread afterwards, see TensorFlow as it was.
"""

import contextlib
import functools
import threading
import weakref
from collections.abc import Iterator

from keras.layers import BatchNormalization

from keras_curvature.autodiff import tensorflow_private
from keras_curvature.autodiff.repairs.moments import exact_moments
from keras_curvature.autodiff.repairs.refusals import (
    refuse_ctc,
    refuse_ctc_differentiated_twice,
    refuse_recomputation,
    refuse_renorm,
)
from keras_curvature.autodiff.repairs.table import (
    gradient_function,
    register_missing_gradients,
)
from keras_curvature.autodiff.repairs.two_pieces import replacements

# What corrects the statistics, in the releases of Keras that know `renorm`.
_RENORM = "_compose_transforms"


class _Thread(threading.local):
    def __init__(self):
        self.open_contexts = 0
        # Of them, those in which all that is recorded is differentiated twice.
        self.twice = 0


_thread = _Thread()
_lock = threading.Lock()
_open_contexts = 0
_restore = contextlib.ExitStack()
# Exact gradients of `tf.function`s for tapes, beside those that TensorFlow
# keeps for itself.
_tape_functions: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


@contextlib.contextmanager
def exact_derivatives() -> Iterator[None]:
    """While open, derivatives of derivatives are exact in this thread.

    For nested `tf.GradientTape`s of your own: a physics-informed residual, a
    gradient penalty, the second derivative in a plot. TensorFlow's are
    silently wrong through LayerNormalization, BatchNormalization in training
    mode, GroupNormalization, bilinear resizing and more; what cannot be
    mended raises a `SecondDerivativeError` where it is differentiated twice.
    First derivatives stay the same to the last bit where TensorFlow's are
    right.

    Models of this package open it wherever they compute. A plain Keras model
    needs it around `fit`, `evaluate`, `predict` or the call, or inside the
    model's own `call`, wherever the tapes are. A `tf.function` keeps what it
    was when it was traced, so its first call must be inside.

    Example:

    ```python
    import keras
    import tensorflow as tf
    from keras_curvature.autodiff import exact_derivatives

    layer = keras.layers.LayerNormalization(epsilon=0.1)
    x = tf.constant([[1.0, 2.0, 4.0]])
    with exact_derivatives():
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                y = layer(x)[0, 0]
            slope = inner.gradient(y, x)[0, 0]
        outer.gradient(slope, x)  # [[0.1932, -0.1603, -0.0329]]
    ```
    """
    with _opened():
        yield


@contextlib.contextmanager
def differentiated_twice():
    """The same, where all that is recorded is differentiated twice.

    What has no second derivative is then refused where it is computed, with
    the name of its layer.
    """
    _thread.twice += 1
    try:
        with _opened():
            yield
    finally:
        _thread.twice -= 1


def is_exact():
    """Whether derivatives are exact here and now."""
    return _thread.open_contexts > 0


@contextlib.contextmanager
def _opened():
    if not _thread.open_contexts:
        with _lock:
            _install()
    _thread.open_contexts += 1
    try:
        yield
    except NotImplementedError as error:
        refuse_recomputation(error)
        raise
    finally:
        _thread.open_contexts -= 1
        if not _thread.open_contexts:
            with _lock:
                _uninstall()


def _install():
    global _open_contexts
    if not _open_contexts:
        _replace_lookup()
        _replace(*tensorflow_private.MOMENTS, exact_moments)
        _replace(*tensorflow_private.CTC, refuse_ctc, _is_differentiated_twice)
        _replace(
            *tensorflow_private.CTC,
            refuse_ctc_differentiated_twice(
                getattr(*tensorflow_private.CTC),
            ),
            _is_differentiated_once,
        )
        for owner, name, function in replacements():
            _replace(owner, name, function)
        # TensorFlow's own gradients of a function are not used here, and those
        # that are made here are not kept for it.
        _replace(
            *tensorflow_private.FUNCTION_GRADIENT,
            tensorflow_private.construct_function_gradient,
        )
        _replace(*tensorflow_private.TAPE_FUNCTIONS, _select_tape_functions)
        if hasattr(BatchNormalization, _RENORM):
            _replace(
                BatchNormalization,
                _RENORM,
                refuse_renorm,
                _is_differentiated_twice,
            )
    _open_contexts += 1


def _uninstall():
    global _open_contexts
    _open_contexts -= 1
    if not _open_contexts:
        _restore.close()


def _replace_lookup():
    original = tensorflow_private.gradient_lookup()

    @functools.wraps(original)
    def lookup(registry, operation_type):
        registered = functools.partial(original, registry)
        if is_exact() and tensorflow_private.is_gradient_registry(registry):
            return gradient_function(
                operation_type, registered, _is_differentiated_twice()
            )
        return registered(operation_type)

    tensorflow_private.replace_gradient_lookup(lookup)
    _restore.callback(tensorflow_private.replace_gradient_lookup, original)


def _is_differentiated_twice():
    return _thread.twice > 0


def _is_differentiated_once():
    return is_exact() and not _is_differentiated_twice()


def _select_tape_functions(function, *args, **kwargs):
    kept = _tape_functions.setdefault(function, ({}, {}))
    return tensorflow_private.select_tape_functions(
        function, kept, *args, **kwargs
    )


def _replace(owner, name, replacement, applies=is_exact):
    original = getattr(owner, name)

    @functools.wraps(original)
    def choose(*args, **kwargs):
        return (replacement if applies() else original)(*args, **kwargs)

    setattr(owner, name, choose)
    _restore.callback(setattr, owner, name, original)


register_missing_gradients(tensorflow_private.registered_gradient)
