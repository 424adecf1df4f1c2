"""How all trust-region methods judge a trial step."""

from typing import NamedTuple

import tensorflow as tf


class TrustRegionRules(NamedTuple):
    """What a gain ratio, actual over predicted reduction, leads to.

    Attributes:
        accepted: Gain ratio above which the step is taken.
        good: Gain ratio below which the region shrinks.
        very_good: Gain ratio above which the region grows after a step that
            it bounded.
        shrink: Shrink factor after a poor step.
        shrink_after_rise: Shrink factor after a step that raised the loss.
        grow: The radius after a very good step, in lengths of that step.
        follows_free_steps: Whether a step that the region did not bound sets
            the radius, too; otherwise the radius stays.
    """

    accepted: float
    good: float
    very_good: float
    shrink: float
    shrink_after_rise: float
    grow: float
    follows_free_steps: bool


# Conn, Gould, Toint, 2000, "Trust-region methods", section 6.1: 0.05, and the
# quarters of section 17.1, as Nocedal and Wright's algorithm 4.1 has them.
NEWTON = TrustRegionRules(0.05, 0.25, 0.75, 0.25, 0.25, 2.0, False)
# Moré, 1978, "The Levenberg-Marquardt algorithm", section 4, has 1e-4, the
# quarters, and 2 ‖d‖ after a free step. MINPACK shrinks to a half to a tenth;
# with less than a half LM creeps on networks, and with more than a quarter
# after a rise it evaluates the loss more often.
LEAST_SQUARES = TrustRegionRules(1e-4, 0.25, 0.75, 0.5, 0.25, 2.0, True)

# A step of at least this part of the radius was bounded by it: a point of the
# boundary is found to rounding only.
_AT_BOUNDARY = 0.99
# Radii of steps on one path of conjugate gradients are quarters of quarters:
# where the region has to shrink, it shrinks to about one of them.
_NEXT_RADIUS = 0.25


def gain_ratio(actual, predicted):
    """Actual over predicted reduction; -1 where it cannot be told.

    Args:
        actual: Scalar tensor, L(w) − L(w + d). May be NaN or infinite.
        predicted: Scalar tensor, the reduction of the quadratic model.
    """
    is_defined = tf.math.is_finite(actual) & (predicted > 0)
    ratio = actual / tf.where(is_defined, predicted, tf.ones_like(predicted))
    return tf.where(is_defined, ratio, -tf.ones_like(ratio))


def updated_radius(radius, length, ratio, is_free, rules=LEAST_SQUARES):
    """The trust radius after a trial step.

    Args:
        radius: Scalar tensor.
        length: Scalar tensor, the length of the step. May be NaN.
        ratio: Scalar tensor, the gain ratio.
        is_free: Scalar bool tensor, whether the step was not bounded.
        rules: `TrustRegionRules`.
    """
    shrink, shrink_after_rise, grow = (
        tf.constant(factor, radius.dtype)
        for factor in (rules.shrink, rules.shrink_after_rise, rules.grow)
    )
    shorter = tf.where(length < radius, length, radius)
    shrunk = tf.where(ratio >= 0, shrink, shrink_after_rise) * shorter
    is_very_good = ratio > rules.very_good
    if rules.follows_free_steps:
        grows = is_very_good | is_free
    else:
        grows = is_very_good & ~is_free
    kept_or_grown = tf.where(grows, grow * length, radius)
    return tf.where(ratio < rules.good, shrunk, kept_or_grown)


def is_at_boundary(length, radius):
    """Whether the trust region bounded a step of this length."""
    return length >= _AT_BOUNDARY * radius


def radii_of_path(radius, count):
    """Radii, the largest first, of the steps that one path of CG gives."""
    parts = [_NEXT_RADIUS**power for power in range(count)]
    return radius * tf.constant(parts, radius.dtype)


def first_radius(part, norm):
    """The radius that a run begins with.

    Args:
        part: Float, `initial_trust_radius`.
        norm: Scalar tensor, ‖w‖; where it is 0, `part` is the radius.
    """
    part = tf.constant(part, norm.dtype)
    return part * tf.where(norm > 0, norm, tf.ones_like(norm))
