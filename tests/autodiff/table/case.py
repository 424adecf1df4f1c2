"""One row of the table of second derivatives, and how rows are written."""

import dataclasses
from collections.abc import Callable

import keras

EXACT, REFUSED, NONE = "exact", "refused", "not differentiable"


@dataclasses.dataclass
class Case:
    """One row of the table.

    Args:
        export: Name under which Keras exports it, such as `layers.Dense`.
        option: What distinguishes this row, as a user would write it.
        make: Callable without arguments that returns a callable on tensors: a
            layer, an activation, a loss. None for what computes nothing.
        shapes: Shapes of the inputs of one sample.
        call: How it is called on (object, tensors, training).
        expected: EXACT, REFUSED or NONE.
        reason: Why it is refused or not differentiable.
        dtype: "float32" where TensorFlow's kernel has no float64.
        range: Interval that the inputs lie in.
        size: Magnitude of the outputs, where it is not that of the inputs.
        jit: Whether XLA compiles it.
        overwrites: Whether a call in training mode overwrites the weights, so
            that the Hessian is that at the weights it leaves.
        kernels: "jit" where TensorFlow has kernels on a CPU under XLA only.
    """

    export: str
    option: str
    make: Callable | None = None
    shapes: tuple = ((3,),)
    call: Callable | None = None
    expected: str = EXACT
    reason: str = ""
    dtype: str = "float64"
    range: tuple = (-1.0, 1.0)
    size: float | None = None
    training: bool = True
    jit: bool = True
    kernels: str = "all"
    overwrites: bool = False

    @property
    def random(self):
        """Whether a call in training mode draws random numbers."""
        words = ("Dropout", "dropout", "Noise")
        return any(word in self.name for word in words)

    @property
    def name(self):
        return f"{self.export} {self.option}".strip()


def option_of(kwargs):
    """Keyword arguments as a user would write them."""
    return ", ".join(f"{key}={value!r}" for key, value in kwargs.items())


def layer(name, shape, *, call=None, inputs=1, settings=None, **kwargs):
    """A row for a layer; `settings` go to the row, the rest to the layer."""
    settings = dict(settings or {})
    option = settings.pop("option", option_of(kwargs))
    return Case(
        f"layers.{name}",
        option,
        lambda: getattr(keras.layers, name)(**kwargs),
        (shape,) * inputs,
        call,
        **settings,
    )


def grid(name, shape, *options, settings=None, **common):
    """Rows for one layer, one for each dictionary of options."""
    return [
        layer(name, shape, settings=settings, **{**common, **option})
        for option in options or ({},)
    ]


def no_numbers(module, reasons):
    """Rows for what has no derivative because it computes no numbers."""
    return [
        Case(f"{module}.{name}", "", expected=NONE, reason=reason)
        for name, reason in reasons.items()
    ]


CHANNELS_FIRST = {"data_format": "channels_first"}
JIT = {"kernels": "jit"}
FLOAT32 = {"dtype": "float32"}
