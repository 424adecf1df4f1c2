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
