"""Rules for the arguments of layers and optimizers."""

import math
import numbers


def checked_number(
    name, value, minimum=None, above=None, below=None, maximum=None
):
    """The argument as a float, if it is finite and within the bounds.

    Args:
        name: The name of the argument, for the error.
        value: What was given for it.
        minimum: None, or the least number that is allowed.
        above: None, or a number that `value` must exceed.
        below: None, or a number that `value` must stay below.
        maximum: None, or the largest number that is allowed.
    """
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if (
        not is_number
        or not math.isfinite(value)
        or (minimum is not None and value < minimum)
        or (above is not None and value <= above)
        or (below is not None and value >= below)
        or (maximum is not None and value > maximum)
    ):
        bounds = [
            f"{sign} {bound}"
            for sign, bound in (
                (">", above),
                ("≥", minimum),
                ("<", below),
                ("≤", maximum),
            )
            if bound is not None
        ]
        rule = " ".join(["a finite number", " and ".join(bounds)]).strip()
        raise ValueError(
            f"`{name}` must be {rule}. Received: {name}={value!r}."
        )
    return float(value)


def checked_integer(name, value, minimum):
    """The argument as an int, if value ≥ `minimum`."""
    valid = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not valid or value < minimum:
        raise ValueError(
            f"`{name}` must be an integer ≥ {minimum}. "
            f"Received: {name}={value!r}."
        )
    return int(value)


def checked_flag(name, value):
    """The argument, if it is a bool."""
    if not isinstance(value, bool):
        raise ValueError(
            f"`{name}` must be a bool. Received: {name}={value!r}."
        )
    return value


def checked_choice(name, value, choices):
    """The argument, if it is one of `choices`."""
    if value not in choices:
        raise ValueError(
            f"`{name}` must be one of {', '.join(map(repr, choices))}. "
            f"Received: {name}={value!r}."
        )
    return value
