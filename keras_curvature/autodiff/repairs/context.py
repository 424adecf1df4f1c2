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

from keras.layers import BatchNormalization

from keras_curvature.autodiff import tensorflow_private
from keras_curvature.autodiff.repairs.moments import exact_moments
from keras_curvature.autodiff.repairs.refusals import (
    refuse_ctc,
    refuse_recomputation,
    refuse_renorm,
)
from keras_curvature.autodiff.repairs.table import (
    gradient_function,
    register_missing_gradients,
)

# What corrects the statistics, in the releases of Keras that know `renorm`.
_RENORM = "_compose_transforms"


class _Thread(threading.local):
    def __init__(self):
        self.graphs = []


_thread = _Thread()
_lock = threading.Lock()
_open_contexts = 0
_restore = contextlib.ExitStack()
# Exact gradients of `tf.function`s for tapes, beside those that TensorFlow
# keeps for itself.
_tape_functions = weakref.WeakKeyDictionary()


@contextlib.contextmanager
def exact_second_derivatives():
    """While open, this thread's gradients have exact derivatives."""
    with _lock:
        _install()
    _thread.graphs.append(tensorflow_private.innermost_graph())
    try:
        yield
    except NotImplementedError as error:
        refuse_recomputation(error)
        raise
    finally:
        _thread.graphs.pop()
        with _lock:
            _uninstall()


def _install():
    global _open_contexts
    if not _open_contexts:
        _replace_lookup()
        _replace(*tensorflow_private.MOMENTS, exact_moments, _where_recorded)
        _replace(*tensorflow_private.CTC, refuse_ctc)
        # TensorFlow's own gradients of a function are not used here, and those
        # that are made here are not kept for it.
        _replace(
            *tensorflow_private.FUNCTION_GRADIENT,
            tensorflow_private.construct_function_gradient,
        )
        _replace(*tensorflow_private.TAPE_FUNCTIONS, _select_tape_functions)
        if hasattr(BatchNormalization, _RENORM):
            _replace(BatchNormalization, _RENORM, refuse_renorm)
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
        if _thread.graphs and tensorflow_private.is_gradient_registry(registry):
            return gradient_function(operation_type, registered)
        return registered(operation_type)

    tensorflow_private.replace_gradient_lookup(lookup)
    _restore.callback(tensorflow_private.replace_gradient_lookup, original)


def _in_this_thread():
    return bool(_thread.graphs)


def _where_recorded():
    """Whether operations are recorded here and now.

    Within a function that is being traced the lookup mends them, and the
    trace that remains is TensorFlow's own.
    """
    return _in_this_thread() and (
        _thread.graphs[-1] is tensorflow_private.innermost_graph()
    )


def _select_tape_functions(function, *args, **kwargs):
    kept = _tape_functions.setdefault(function, ({}, {}))
    return tensorflow_private.select_tape_functions(
        function, kept, *args, **kwargs
    )


def _replace(owner, name, replacement, applies=_in_this_thread):
    original = getattr(owner, name)

    @functools.wraps(original)
    def choose(*args, **kwargs):
        return (replacement if applies() else original)(*args, **kwargs)

    setattr(owner, name, choose)
    _restore.callback(setattr, owner, name, original)


register_missing_gradients(tensorflow_private.registered_gradient)
