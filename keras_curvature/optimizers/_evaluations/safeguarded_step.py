"""Section 4 of Moré and Thuente: the next step within an interval.

Moré, Thuente, 1994, "Line search algorithms with guaranteed sufficient
decrease", ACM TOMS 20(3).
"""

from typing import NamedTuple

import tensorflow as tf

from keras_curvature.optimizers._common.selecting import select_each

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
    cubic, cubic_to_high, quadratic, secant = _minimizers(low, trial, high)
    cubic_is_further = _is_further(cubic, secant, trial)
    # Case 1: the minimum lies between, close to the lower end.
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


def _minimizers(low, trial, high):
    """Minimizers of four curves: two cubics, a quadratic, and by the secant.

    The cubics have values and slopes of low end and trial, and of trial and
    high end; the quadratic has both values and the slope of the low end, the
    secant has both slopes, of low end and trial.
    """
    chord = tf.math.divide_no_nan(trial.loss - low.loss, trial.step - low.step)
    ends = Point(*(tf.stack(values) for values in zip(low, trial, strict=True)))
    others = Point(
        *(tf.stack(values) for values in zip(trial, high, strict=True))
    )
    top, bottom = _cubic_ratio(ends, others)
    turn = trial.slope - low.slope
    ratios = _ratio(
        tf.stack([*tf.unstack(top), low.slope / 2, trial.slope]),
        tf.stack([*tf.unstack(bottom), low.slope - chord, turn]),
    )
    cubic, cubic_to_high, quadratic, secant = tf.unstack(ratios)
    way = trial.step - low.step
    return (
        low.step + cubic * way,
        trial.step + cubic_to_high * (high.step - trial.step),
        low.step + quadratic * way,
        trial.step - secant * way,
    )


def _cubic_ratio(a, b):
    """Where on the way from a to b the cubic has its minimum, as a ratio."""
    fall = tf.math.divide_no_nan(3 * (a.loss - b.loss), b.step - a.step)
    theta = fall + a.slope + b.slope
    scale = tf.maximum(
        tf.abs(theta), tf.maximum(tf.abs(a.slope), tf.abs(b.slope))
    )
    theta_part, a_part, b_part = (
        tf.math.divide_no_nan(t, scale) for t in (theta, a.slope, b.slope)
    )
    radicand = tf.square(theta_part) - a_part * b_part
    gamma = scale * tf.sqrt(tf.maximum(radicand, 0.0))
    gamma = tf.where(b.step < a.step, -gamma, gamma)
    return gamma - a.slope + theta, 2 * gamma - a.slope + b.slope


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
    selected = select_each(
        condition, tf.nest.flatten(chosen), tf.nest.flatten(other)
    )
    return tf.nest.pack_sequence_as(chosen, selected)
