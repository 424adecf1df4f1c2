"""What TensorFlow says while it vectorizes, and what of it a user needs."""

import contextlib
import logging
import re
import threading

import tensorflow as tf

_FAILED = re.compile(
    r'converting op name: "(?P<name>[^"]*)"\s*op: "(?P<type>\w+)'
)


class Attempt(logging.Filter):
    """Keeps from the log what one attempt of one thread writes to it.

    A conversion that fails is logged for every operation around it, some
    hundreds of lines, before another way is taken.

    Attributes:
        failed: The operation that could not be vectorized, for a message, or
            None.
    """

    def __init__(self):
        super().__init__()
        self.failed = None
        self._thread = threading.get_ident()

    def filter(self, record):
        if record.filename != "pfor.py" or record.thread != self._thread:
            return True
        found = _FAILED.search(record.getMessage())
        if found and self.failed is None:
            self.failed = place_in_loop(found["type"], found["name"])
        return False


def place_in_loop(operation_type, name):
    """An operation and its layer, without the scopes of the attempt."""
    layer = name.rpartition("loop_body/")[2].rpartition("/")[0]
    return f"{operation_type} in '{layer}'" if layer else operation_type


@contextlib.contextmanager
def quiet_attempt():
    """A context that yields an `Attempt`."""
    attempt = Attempt()
    logger = tf.get_logger()
    logger.addFilter(attempt)
    try:
        yield attempt
    finally:
        logger.removeFilter(attempt)


def is_first_in_trace(message):
    """Whether it was not said yet of the function that is traced, if one is.

    A step may be traced in several forms, of which one is taken when it runs.
    """
    graph = tf.compat.v1.get_default_graph()
    if not graph.building_function:
        return True
    while graph.outer_graph.building_function:
        graph = graph.outer_graph
    said = graph.get_collection_ref("keras_curvature_warnings")
    said.append(message)
    return said.count(message) == 1
