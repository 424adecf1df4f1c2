"""Numbers as text."""

import math

_RAISED = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
_NARROW_SPACE = "\u202f"


def number(value, digits=4):
    """A number with so many digits; an en dash for None."""
    if value is None:
        return "–"
    if not math.isfinite(value):
        return "∞" if value > 0 else "−∞" if value < 0 else "not a number"
    if value == 0:
        return "0"
    # Rounding first: 0.99996 with 4 digits is 1.000.
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    exponent = int(exponent)
    if -4 < exponent < 6:
        text = f"{value:,.{max(0, digits - 1 - exponent)}f}"
        return _typeset(text)
    return _typeset(mantissa) + " × 10" + str(exponent).translate(_RAISED)


def short(value):
    """A number that somebody chose, such as 0.001: without zeros behind."""
    if value is None or not 1e-4 <= abs(value) < 1e5:
        return number(value, 3)
    return _typeset(f"{value:.4g}")


def power_of_ten(value):
    """A number on a logarithmic axis, 10⁻³; no text between the powers."""
    if value <= 0:
        return ""
    exponent = math.log10(value)
    if abs(exponent - round(exponent)) > 1e-9:
        return ""
    exponent = round(exponent)
    if -3 < exponent < 4:
        return f"{10.0**exponent:g}"
    return "10" + str(exponent).translate(_RAISED)


def count(value):
    """A whole number, its thousands set apart."""
    return _typeset(f"{value:,}")


def percent(share, digits=1):
    """A share of 1 in percent; an en dash for None."""
    if share is None:
        return "–"
    # Adding 0 makes 0 of -0.
    rounded = round(100 * share, digits) + 0
    return _typeset(f"{rounded:.{digits}f}") + "\u00a0%"


def duration(value):
    """A time: 4 ms, 3.2 s, 14 min, 2.5 h."""
    if value < 0.1:
        return f"{1e3 * value:.1f}\u00a0ms"
    if value < 10:
        return f"{value:.1f}\u00a0s"
    if value < 120:
        return f"{value:.0f}\u00a0s"
    if value < 7200:
        return f"{value / 60:.0f}\u00a0min"
    return f"{value / 3600:.1f}\u00a0h"


def _typeset(text):
    return text.replace("-", "−").replace(",", _NARROW_SPACE)
