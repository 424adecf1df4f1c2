"""The line search: Wolfe conditions, evaluations, faults."""

import numpy as np
import pytest
import tensorflow as tf

from keras_curvature.optimizers._evaluations import line_search as line_search

RULES = line_search.Rules(1e-4, 0.9, 20)

# φ, and φ' by hand. The first three are those of Moré and Thuente, section 5,
# with β = 2, 0.004 and 0.01.
FUNCTIONS = {
    "concave then convex": (
        lambda a: -a / (a**2 + 2),
        lambda a: (a**2 - 2) / (a**2 + 2) ** 2,
    ),
    "quintic": (
        lambda a: (a + 0.004) ** 5 - 2 * (a + 0.004) ** 4,
        lambda a: 5 * (a + 0.004) ** 4 - 8 * (a + 0.004) ** 3,
    ),
    "wavy": (
        lambda a: -a + 1e-3 * np.sin(30 * a) + a**2 / 6,
        lambda a: -1 + 0.03 * np.cos(30 * a) + a / 3,
    ),
    "quadratic": (lambda a: (a - 3) ** 2, lambda a: 2 * (a - 3)),
    "exponential": (
        lambda a: np.exp(a) - 5 * a,
        lambda a: np.exp(a) - 5,
    ),
}

advance = tf.function(
    lambda search, loss, slope, rules, noise: line_search.advance(
        search, loss, slope, rules, noise
    )
)


def number(value):
    return tf.constant(float(value), tf.float64)


def searched(function, slope, step, rules=RULES, noise=0.0):
    """The last step, its outcome, and the steps that were evaluated."""
    search = line_search.start(
        number(function(0.0)), number(slope(0.0)), number(step)
    )
    steps = []
    while True:
        at = float(search.step)
        steps.append(at)
        search, outcome = advance(
            search,
            number(function(at)),
            number(slope(at)),
            rules,
            number(noise),
        )
        if int(outcome) != line_search.CONTINUE:
            return at, int(outcome), steps, search


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("step", [1e-3, 0.1, 1.0, 10.0, 100.0])
@pytest.mark.parametrize("curvature", [0.9, 0.1])
def test_both_conditions_hold_at_the_step(name, step, curvature):
    function, slope = FUNCTIONS[name]
    at, outcome, _, _ = searched(
        function, slope, step, line_search.Rules(1e-4, curvature, 20)
    )
    if name == "quintic" and step == 1:
        # φ'(0) is 5e-7: the bracket is within 1e-4 of the minimum before.
        assert outcome == line_search.FAIL
        assert at == pytest.approx(1.596, rel=1e-4)
        return
    assert outcome == line_search.ACCEPT
    assert function(at) <= function(0) + 1e-4 * at * slope(0)
    assert abs(slope(at)) <= curvature * abs(slope(0))


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("step", [1e-3, 0.1, 1.0, 10.0, 100.0])
def test_takes_no_more_evaluations_than_moré_and_thuentes_own(name, step):
    function, slope = FUNCTIONS[name]
    dcsrch = pytest.importorskip("scipy.optimize._dcsrch").DCSRCH
    calls = []

    def counted(a):
        calls.append(a)
        return function(a)

    dcsrch(counted, slope, 1e-4, 0.1, 1e-14, 0, 1e10)(step)
    _, _, steps, _ = searched(
        function, slope, step, line_search.Rules(1e-4, 0.1, 20)
    )
    # φ(0) is one of theirs.
    assert len(steps) <= len(calls) - 1


def test_a_minimum_of_a_quadratic_takes_two_evaluations():
    # 1.5 lies within the reach of the first extrapolation from 0.5.
    at, outcome, steps, _ = searched(
        lambda a: (a - 1.5) ** 2,
        lambda a: 2 * (a - 1.5),
        0.5,
        line_search.Rules(1e-4, 1e-6, 9),
    )
    assert outcome == line_search.ACCEPT
    assert len(steps) == 2
    assert at == pytest.approx(1.5, rel=1e-12)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_trials_that_are_not_finite_shorten_the_step(bad):
    def function(a):
        return a - np.log(2 - a) - 3 * a if a < 2 else bad

    def slope(a):
        return 1 / (2 - a) - 2 if a < 2 else bad

    at, outcome, steps, _ = searched(function, slope, 50.0)
    assert outcome == line_search.ACCEPT
    assert 0 < at < 2
    assert steps[1] == pytest.approx(5)
    assert function(at) < function(0)


def test_fails_where_the_slope_is_wrong():
    # The loss rises along a direction that claims to go down.
    _, outcome, steps, search = searched(lambda a: a, lambda a: -1.0, 1.0)
    assert outcome == line_search.FAIL
    assert float(search.low.step) == 0
    assert len(steps) <= RULES.evaluations


def test_rounding_of_the_loss_is_forgiven_where_the_slope_is_right():
    # The true decrease, 1e-18, is lost in φ, which is rounded up at random.
    def function(a):
        return 1.0 + (2e-16 if a > 0 else 0.0)

    def slope(a):
        return 1e-9 * (a - 1) * 1e-9

    _, strict, _, _ = searched(function, slope, 0.9)
    _, forgiving, steps, _ = searched(function, slope, 0.9, noise=1e-15)
    assert strict == line_search.FAIL
    assert forgiving == line_search.ACCEPT
    assert len(steps) == 1


def test_the_state_survives_as_one_vector():
    search = line_search.start(number(3), number(-2), number(0.5))
    again = line_search.unpack(line_search.pack(search))
    assert line_search.pack(search).shape == (line_search.FIELDS,)
    for old, new in zip(
        tf.nest.flatten(search), tf.nest.flatten(again), strict=True
    ):
        assert float(old) == float(new)
