"""One of two lists of tensors."""

import numpy as np
import pytest
import tensorflow as tf

from keras_curvature.optimizers._common.selecting import select_each


@pytest.mark.parametrize("scalars", [2, 9], ids=["few", "many"])
@pytest.mark.parametrize("holds", [True, False])
def test_each_is_of_the_list_that_the_condition_tells(holds, scalars):
    numbers = [float(i) for i in range(scalars)]
    arrays = [*numbers, *range(scalars), [1.0, 2.0], True]
    others = [-number for number in numbers] + [-7] * scalars
    others += [[3.0, 4.0], False]
    yes, no = ([tf.constant(v) for v in values] for values in (arrays, others))
    selected = select_each(tf.constant(holds), yes, no)
    for tensor, expected in zip(
        selected, arrays if holds else others, strict=True
    ):
        np.testing.assert_array_equal(tensor, expected)
        assert tensor.dtype == tf.constant(expected).dtype


def test_what_both_lists_hold_stays_as_it_is():
    kept = tf.constant(2.0)
    ones, zeros = [tf.ones(())] * 6, [tf.zeros(())] * 6
    selected = select_each(tf.constant(True), [kept, *ones], [kept, *zeros])
    assert selected[0] is kept
