"""Section 4 of Moré and Thuente: the next step within an interval.

Moré, Thuente, 1994, "Line search algorithms with guaranteed sufficient
decrease", ACM TOMS 20(3).
"""

from typing import NamedTuple

import tensorflow as tf

# The part of the way from a trial to the other end of the interval that a
# step may go, and the part to which an interval has to shrink in two
# evaluations.
SHRINKAGE = 0.66
# Part of the way between two points where a curve has its minimum that has
# none: far beyond all others, and finite, so that tf.debugging's numeric
# checks pass what is computed and not selected.
_NOWHERE = 1e60


class Point(NamedTuple):
    """Loss and slope along the direction at one step length."""

    step: tf.Tensor
    loss: tf.Tensor
    slope: tf.Tensor


class Interval(NamedTuple):
    """The interval of uncertainty and a trial."""

    low: Point
    high: Point
    trial: Point
    bracketed: tf.Tensor


class _Case(NamedTuple):
    """Which of the four cases of section 4 a trial is; the fourth if none."""

    higher: tf.Tensor
    turned: tf.Tensor
    flatter: tf.Tensor


def case_of(interval):
    """The case of a trial."""
    low, _, trial, _ = interval
    higher = trial.loss > low.loss
    turned = ~higher & (trial.slope * low.slope < 0)
    flatter = ~higher & ~turned & (tf.abs(trial.slope) <= tf.abs(low.slope))
    return _Case(higher, turned, flatter)


def updated_interval(interval, case):
    """The low and the high end after a trial, and whether they bracket."""
    low, high, trial, bracketed = interval
    higher, turned, _ = case
    return (
        select(higher, low, trial),
        select(higher, trial, select(turned, low, high)),
        bracketed | higher | turned,
    )


def safeguarded_step(interval, case, smallest, largest):
    """Section 4: the next step, interpolated."""
    low, high, trial, bracketed = interval
    is_beyond = trial.step > low.step
    bound = tf.where(is_beyond, largest, smallest)
    cubic, cubic_to_high = _cubic_minimizers((low, trial), (trial, high))
    secant = _secant_minimizer(low, trial)
    cubic_is_further = _is_further(cubic, secant, trial)
    # Case 1: the minimum lies between, close to the lower end.
    quadratic = _quadratic_minimizer(low, trial)
    first = tf.where(
        _is_further(quadratic, cubic, low), cubic, (cubic + quadratic) / 2
    )
    # Case 2: it lies between, since the slope changed its sign.
    second = tf.where(cubic_is_further, cubic, secant)
    third = _flatter_step(interval, cubic, secant, bound, is_beyond)
    third = tf.where(
        bracketed, third, tf.clip_by_value(third, smallest, largest)
    )
    # Case 4: the slope did not decrease.
    fourth = tf.where(bracketed, cubic_to_high, bound)
    step = tf.where(
        case.higher,
        first,
        tf.where(case.turned, second, tf.where(case.flatter, third, fourth)),
    )
    is_somewhere = _is_somewhere(step, low, trial)
    return tf.where(is_somewhere, step, (low.step + trial.step) / 2)


def _flatter_step(interval, cubic, secant, bound, is_beyond):
    """Case 3: the slope decreased."""
    low, high, trial, bracketed = interval
    # A cubic without a minimum beyond the trial says nothing.
    beyond = (cubic - trial.step) * (trial.step - low.step) > 0
    cubic = tf.where(beyond & _is_somewhere(cubic, low, trial), cubic, bound)
    cubic_is_further = _is_further(cubic, secant, trial)
    step = tf.where(cubic_is_further == bracketed, secant, cubic)
    limit = trial.step + SHRINKAGE * (high.step - trial.step)
    limited = tf.where(
        is_beyond, tf.minimum(limit, step), tf.maximum(limit, step)
    )
    return tf.where(bracketed, limited, step)


def _is_somewhere(step, a, b):
    """Whether a minimizer exists."""
    return tf.abs(step - a.step) < _NOWHERE / 1e20 * tf.abs(b.step - a.step)


def _ratio(numerator, denominator):
    is_zero = denominator == 0
    nowhere = tf.constant(_NOWHERE, denominator.dtype)
    return tf.where(
        is_zero,
        tf.where(numerator < 0, -nowhere, nowhere),
        numerator / tf.where(is_zero, tf.ones_like(denominator), denominator),
    )


def _is_further(step, other, point):
    """Whether a step is further from that of a point than another is."""
    return tf.abs(step - point.step) > tf.abs(other - point.step)


def _cubic_minimizers(*pairs):
    """The cubic minimizers of several pairs of points."""
    a, b = (
        Point(*(tf.stack(values) for values in zip(*ends, strict=True)))
        for ends in zip(*pairs, strict=True)
    )
    return tf.unstack(_cubic_minimizer(a, b))


def _cubic_minimizer(a, b):
    """Minimizer of the cubic with the values and slopes of both points."""
    fall = tf.math.divide_no_nan(3 * (a.loss - b.loss), b.step - a.step)
    theta = fall + a.slope + b.slope
    scale = tf.maximum(
        tf.abs(theta), tf.maximum(tf.abs(a.slope), tf.abs(b.slope))
    )
    theta_part, a_part, b_part = (
        tf.math.divide_no_nan(t, scale) for t in (theta, a.slope, b.slope)
    )
    radicand = theta_part**2 - a_part * b_part
    gamma = scale * tf.sqrt(tf.maximum(radicand, 0.0))
    gamma = tf.where(b.step < a.step, -gamma, gamma)
    ratio = _ratio(gamma - a.slope + theta, 2 * gamma - a.slope + b.slope)
    return a.step + ratio * (b.step - a.step)


def _quadratic_minimizer(a, b):
    """Minimizer of the parabola with both values and the first slope."""
    chord = tf.math.divide_no_nan(b.loss - a.loss, b.step - a.step)
    part = _ratio(a.slope, a.slope - chord) / 2
    return a.step + part * (b.step - a.step)


def _secant_minimizer(a, b):
    """Minimizer of the parabola with both slopes."""
    return b.step + _ratio(b.slope, b.slope - a.slope) * (a.step - b.step)


def tilted(interval, slope):
    """The points of the function without this slope."""
    points = (
        point._replace(
            loss=point.loss - slope * point.step, slope=point.slope - slope
        )
        for point in interval[:3]
    )
    return Interval(*points, interval.bracketed)


def select(condition, chosen, other):
    return tf.nest.map_structure(
        lambda a, b: a if a is b else tf.where(condition, a, b), chosen, other
    )
