"""The context in which TensorFlow's second derivatives are exact.

TensorFlow finds the gradient function of an operation by one lookup, tapes
and graphs, functions and branches and loops alike. While the context is open,
that lookup answers this thread from `table.py`; other threads, and every
thread afterwards, see TensorFlow as it was.
"""

import contextlib
import functools
import threading

from keras_curvature.autodiff import _tensorflow
from keras_curvature.autodiff.repairs.moments import exact_moments
from keras_curvature.autodiff.repairs.table import (
    gradient_function,
    register_missing_gradients,
)


class _Thread(threading.local):
    def __init__(self):
        self.graphs = []


_thread = _Thread()
_lock = threading.Lock()
_open_contexts = 0
_restore = contextlib.ExitStack()


@contextlib.contextmanager
def exact_second_derivatives():
    """While open, this thread's gradients have exact derivatives."""
    with _lock:
        _install()
    _thread.graphs.append(_tensorflow.innermost_graph())
    try:
        yield
    finally:
        _thread.graphs.pop()
        with _lock:
            _uninstall()


def _install():
    global _open_contexts
    if not _open_contexts:
        _replace_lookup()
        _replace_moments()
    _open_contexts += 1


def _uninstall():
    global _open_contexts
    _open_contexts -= 1
    if not _open_contexts:
        _restore.close()


def _replace_lookup():
    original = _tensorflow.gradient_lookup()

    @functools.wraps(original)
    def lookup(registry, operation_type):
        registered = functools.partial(original, registry)
        if _thread.graphs and _tensorflow.is_gradient_registry(registry):
            return gradient_function(operation_type, registered)
        return registered(operation_type)

    _tensorflow.replace_gradient_lookup(lookup)
    _restore.callback(_tensorflow.replace_gradient_lookup, original)


def _replace_moments():
    original = _tensorflow.moments_function()

    @functools.wraps(original)
    def moments(*args, **kwargs):
        # Within a function that is being traced the lookup mends them, and
        # the trace that remains is TensorFlow's own.
        here = _thread.graphs and (
            _thread.graphs[-1] is _tensorflow.innermost_graph()
        )
        return (exact_moments if here else original)(*args, **kwargs)

    _tensorflow.replace_moments_function(moments)
    _restore.callback(_tensorflow.replace_moments_function, original)


register_missing_gradients(_tensorflow.registered_gradient)
