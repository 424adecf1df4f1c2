"""Rules for the numbers that optimizers are configured with."""

import math
import numbers


def checked_number(name, value, minimum=-math.inf, below=math.inf):
    """The argument as a float, if `minimum` ≤ value < `below`."""
    valid = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not valid or not minimum <= value < below or math.isinf(value):
        upper = "" if below == math.inf else f" and < {below}"
        raise ValueError(
            f"`{name}` must be a finite number ≥ {minimum}{upper}. "
            f"Received: {value!r}."
        )
    return float(value)


def checked_integer(name, value, minimum):
    """The argument as an int, if value ≥ `minimum`."""
    valid = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not valid or value < minimum:
        raise ValueError(
            f"`{name}` must be an integer ≥ {minimum}. Received: {value!r}."
        )
    return int(value)


def checked_choice(name, value, choices):
    """The argument, if it is one of `choices`."""
    if value not in choices:
        raise ValueError(
            f"`{name}` must be one of {', '.join(map(repr, choices))}. "
            f"Received: {value!r}."
        )
    return value


def checked_flag(name, value):
    """The argument, if it is a bool."""
    if not isinstance(value, bool):
        raise ValueError(f"`{name}` must be a bool. Received: {value!r}.")
    return value


def refuse_options(method, options):
    """Raises for options of Keras's optimizers that a solver cannot have."""
    for name, value in options.items():
        if name not in _REFUSED:
            raise TypeError(f"{method} has no argument `{name}`.")
        raise ValueError(
            f"`{name}` is not an option of {method}: {_REFUSED[name]} "
            f"Received: {name}={value!r}."
        )


_CLIPPING = (
    "its model of the loss needs the gradient as it is, and a step that is "
    "too long is shortened anyway. Leave it out."
)
_AVERAGE = (
    "an average over trial points is no approximation of the minimum; `fit` "
    "leaves the best accepted point in the model. Leave it out."
)
_REFUSED = {
    "learning_rate": (
        "it finds the step length itself. Leave it out, and the callbacks "
        "and schedules that change it."
    ),
    "weight_decay": (
        "decay between two evaluations would move the trial point. Use "
        "keras.regularizers.L2 on the layers, which is part of the loss."
    ),
    "clipnorm": _CLIPPING,
    "clipvalue": _CLIPPING,
    "global_clipnorm": _CLIPPING,
    "use_ema": _AVERAGE,
    "ema_momentum": _AVERAGE,
    "ema_overwrite_frequency": _AVERAGE,
    "gradient_accumulation_steps": (
        "it needs second derivatives of all batches at once. Use a larger "
        "batch_size."
    ),
}
