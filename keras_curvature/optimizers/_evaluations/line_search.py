"""A strong Wolfe line search that asks for one evaluation at a time."""

import math
from typing import NamedTuple

import tensorflow as tf

from keras_curvature._checks import checked_integer, checked_number
from keras_curvature.optimizers._evaluations.safeguarded_step import (
    SHRINKAGE,
    Interval,
    Point,
    case_of,
    safeguarded_step,
    select,
    tilted,
    updated_interval,
)

CONTINUE, ACCEPT, FAIL = 0, 1, 2

# Without a bracket the next step lies this many steps further out.
_EXTRAPOLATION = (1.1, 4.0)
_SMALLEST_BRACKET = 1e-4
# In units of the first trial: a step length has the unit weight² / loss, and
# the path must not depend on that of the loss.
_LARGEST_STEP = 1e10


class Search(NamedTuple):
    """Where a search stands: float64 scalars, flags as 0 and 1.

    `low` is the best step so far and `high` the other end of the bracket.
    """

    origin: Point
    low: Point
    high: Point
    bracketed: tf.Tensor
    auxiliary: tf.Tensor
    width: tf.Tensor
    previous_width: tf.Tensor
    upper: tf.Tensor
    step: tf.Tensor
    evaluations: tf.Tensor


class Rules(NamedTuple):
    """What ends a search, Python numbers.

    Attributes:
        sufficient_decrease: μ of the Wolfe conditions.
        curvature: η of the Wolfe conditions, infinite for none.
        evaluations: The most that are made.
    """

    sufficient_decrease: float
    curvature: float
    evaluations: int

    @classmethod
    def checked(
        cls, sufficient_decrease, wolfe_curvature, line_search_evaluations
    ):
        """The rules from arguments of an optimizer, named as these are."""
        decrease = checked_number(
            "sufficient_decrease", sufficient_decrease, minimum=0, below=0.5
        )
        curvature = checked_number(
            "wolfe_curvature", wolfe_curvature, minimum=decrease, below=1
        )
        evaluations = checked_integer(
            "line_search_evaluations", line_search_evaluations, 2
        )
        return cls(decrease, curvature, evaluations)


FIELDS = len(tf.nest.flatten(Search(*([Point(0, 0, 0)] * 3), *([0] * 7))))


def pack(search):
    """The state as one float64 vector of `FIELDS` entries."""
    return tf.stack([tf.cast(f, tf.float64) for f in tf.nest.flatten(search)])


def unpack(vector):
    """The state that `pack` made a vector of."""
    fields = tf.unstack(vector, FIELDS)
    points = [Point(*fields[i : i + 3]) for i in (0, 3, 6)]
    return Search(*points, *fields[9:])


def start(loss, slope, step):
    """A search from step 0 whose first trial is `step`.

    Args:
        loss: Float64 scalar, φ(0).
        slope: Float64 scalar, φ'(0) < 0.
        step: Float64 scalar > 0.
    """
    zero, one = tf.zeros([], tf.float64), tf.ones([], tf.float64)
    origin = Point(zero, loss, slope)
    width = step * _LARGEST_STEP
    return Search(
        origin, origin, origin, zero, one, width, 2 * width, width, step, zero
    )


def advance(search, loss, slope, rules, noise):
    """Takes φ and φ' at `search.step`, and says what comes next.

    The search ends where both conditions of strong Wolfe hold,

        φ(α) ≤ φ(0) + μ α φ'(0)   and   |φ'(α)| ≤ η |φ'(0)|,

    or, since φ(0) − φ(α) drowns in rounding near a minimum, where the second
    holds with (2μ − 1) φ'(0) ≥ φ'(α) and φ(α) ≤ φ(0) + noise. A trial that is
    not finite shortens the step tenfold.

    Args:
        search: The state before.
        loss: Float64 scalar, φ(α) at α = `search.step`.
        slope: Float64 scalar, φ'(α); not finite if any part of the
            gradient is not.
        rules: `Rules`.
        noise: Float64 scalar, the rounding error of φ.

    Returns:
        The state after, whose `step` is the next trial, and an int32 scalar:
        `CONTINUE`, `ACCEPT` (the trial just evaluated) or `FAIL`, where
        `low` is the best step that was found.

    References:
        Moré, Thuente, 1994, "Line search algorithms with guaranteed
        sufficient decrease", ACM TOMS 20(3), sections 2 to 4.
        Hager, Zhang, 2005, "A new conjugate gradient method with guaranteed
        descent and an efficient line search", SIAM J. Optim. 16(1),
        equation 4.1, for the approximate condition.
    """
    search = search._replace(evaluations=search.evaluations + 1)
    trial = Point(search.step, loss, slope)
    is_finite = tf.math.is_finite(loss) & tf.math.is_finite(slope)
    after = select(is_finite, _narrow(search, trial, rules), _shorten(search))
    is_accepted = is_finite & _is_satisfied(search, trial, rules, noise)
    is_spent = after.evaluations >= rules.evaluations
    return after, tf.where(
        is_accepted,
        ACCEPT,
        tf.where(is_spent | _is_collapsed(after), FAIL, CONTINUE),
    )


def _is_satisfied(search, trial, rules, noise):
    decrease, curvature, _ = rules
    origin = search.origin
    required = origin.loss + decrease * trial.step * origin.slope
    is_flat = True
    if not math.isinf(curvature):
        is_flat = tf.abs(trial.slope) <= -curvature * origin.slope
    is_approximate = (trial.loss <= origin.loss + noise) & (
        trial.slope <= (2 * decrease - 1) * origin.slope
    )
    # Nothing further out is allowed.
    is_at_bound = (trial.step >= search.upper) & (
        trial.slope <= decrease * origin.slope
    )
    is_low_enough = trial.loss <= required
    return (is_flat & (is_low_enough | is_approximate)) | (
        is_low_enough & is_at_bound
    )


def _is_collapsed(search):
    low, high = search.low.step, search.high.step
    gap = tf.abs(high - low)
    return (search.bracketed > 0) & (
        gap <= _SMALLEST_BRACKET * tf.maximum(low, high)
    )


def _shorten(search):
    """After a trial that is not finite: a tenth of the way, and a bound."""
    low = search.low.step
    half = (low + search.step) / 2
    return search._replace(
        step=low + (search.step - low) / 10,
        upper=tf.where(search.step > low, half, search.upper),
    )


def _narrow(search, trial, rules):
    """The bracket and the next step after a finite trial."""
    slope = rules.sufficient_decrease * search.origin.slope
    required = search.origin.loss + slope * trial.step
    auxiliary = (search.auxiliary > 0) & (
        (trial.loss > required) | (trial.slope < 0)
    )
    # While no step of sufficient decrease and non-negative slope is known,
    # ψ(α) = φ(α) − φ(0) − μ α φ'(0) takes the place of φ (section 2).
    tilt = tf.where(
        auxiliary & (trial.loss <= search.low.loss) & (trial.loss > required),
        slope,
        0.0,
    )
    interval = Interval(search.low, search.high, trial, search.bracketed > 0)
    without_slope = tilted(interval, tilt)
    case = case_of(without_slope)
    step = safeguarded_step(without_slope, case, *_bounds(search))
    low, high, bracketed = updated_interval(interval, case)
    width = tf.abs(high.step - low.step)
    slow = bracketed & (width >= SHRINKAGE * search.previous_width)
    step = tf.where(slow, low.step + (high.step - low.step) / 2, step)
    return search._replace(
        low=low,
        high=high,
        bracketed=tf.cast(bracketed, tf.float64),
        auxiliary=tf.cast(auxiliary, tf.float64),
        width=tf.where(bracketed, width, search.width),
        previous_width=tf.where(bracketed, search.width, search.previous_width),
        step=tf.clip_by_value(step, 0.0, search.upper),
    )


def _bounds(search):
    """Where the next step may lie."""
    low, high, step = search.low.step, search.high.step, search.step
    bracketed = search.bracketed > 0
    nearest, furthest = (step + k * (step - low) for k in _EXTRAPOLATION)
    # The first trial is a guess: the next may lie close to it.
    nearest = tf.where(search.evaluations > 1, nearest, 0.0)
    return (
        tf.where(bracketed, tf.minimum(low, high), nearest),
        tf.where(bracketed, tf.maximum(low, high), furthest),
    )
