"""Rows for layers of several inputs."""

from keras import layers

from tests.autodiff.table.case import Case, grid

_NAMES = (
    "Add",
    "Subtract",
    "Multiply",
    "Average",
    "Maximum",
    "Minimum",
    "Concatenate",
)


def rows():
    found = []
    for name in _NAMES:
        found += grid(name, (3, 2), inputs=2, call=_call)
        found.append(_function(name.lower(), "", getattr(layers, name.lower())))
    found.append(
        _function("dot", "axes=1", lambda tensors: layers.dot(tensors, axes=1))
    )
    return found + grid(
        "Dot",
        (3, 2),
        {"axes": 1},
        {"axes": 2, "normalize": True},
        inputs=2,
        call=_call,
    )


def _function(name, option, function):
    return Case(
        f"layers.{name}", option, lambda: function, ((3, 2),) * 2, _call
    )


def _call(f, tensors, training):
    return f(tensors)
