"""The oracle itself: its derivatives are derivatives of its values."""

import itertools

import mpmath as mp
import pytest

from tests.layers.exact_values import CASES


@pytest.mark.parametrize("name", CASES)
def test_each_formula_is_the_derivative_of_the_one_before(name):
    formulas = CASES[name][1]
    for x in (-5.5, -1.3, -0.2, 0.4, 2.1, 7.7):
        for function, derivative in itertools.pairwise(formulas):
            numerical = mp.diff(function, mp.mpf(x))
            assert abs(numerical - derivative(mp.mpf(x))) < mp.mpf(10) ** -40
