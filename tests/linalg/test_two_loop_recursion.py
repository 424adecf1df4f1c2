"""The two-loop recursion beside the dense matrix of BFGS."""

import numpy as np
import pytest
import tensorflow as tf

from keras_curvature.linalg.two_loop_recursion import (
    inverse_hessian_product,
    store_pair,
)

SIZE, HISTORY = 5, 3


def pairs(rng, count, unit=1.0):
    """Pairs of a convex quadratic whose gradients have the unit."""
    root = rng.normal(size=(SIZE, SIZE))
    hessian = root @ root.T + np.eye(SIZE)
    steps = rng.normal(size=(count, SIZE))
    return [(s, unit * hessian @ s) for s in steps]


def stored(kept, dtype="float64"):
    state = (
        tf.zeros((HISTORY, SIZE), dtype),
        tf.zeros((HISTORY, SIZE), dtype),
        tf.constant(0, tf.int64),
    )
    for step, change in kept:
        step, change = tf.constant(step, dtype), tf.constant(change, dtype)
        state = store_pair(step, change, -change, *state)
    return state


def dense(kept):
    """H of BFGS, from the scaled identity, over the last pairs."""
    kept = kept[-HISTORY:]
    s, y = kept[-1]
    matrix = (s @ y) / (y @ y) * np.eye(SIZE)
    for s, y in kept:
        rho = 1 / (s @ y)
        left = np.eye(SIZE) - rho * np.outer(s, y)
        matrix = left @ matrix @ left.T + rho * np.outer(s, s)
    return matrix


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7])
def test_is_the_product_with_the_matrix_of_bfgs(rng, count):
    kept = pairs(rng, count)
    vector = rng.normal(size=SIZE)
    product = inverse_hessian_product(tf.constant(vector), *stored(kept))
    np.testing.assert_allclose(product, dense(kept) @ vector, rtol=1e-10)


def test_without_pairs_it_is_the_vector(rng):
    vector = tf.constant(rng.normal(size=SIZE))
    product = inverse_hessian_product(vector, *stored([]))
    np.testing.assert_array_equal(product, vector)


@pytest.mark.parametrize("unit", [1e-20, 1e20])
def test_units_of_the_loss_do_not_leave_the_range_of_float32(rng, unit):
    kept = pairs(rng, 4, unit)
    vector = unit * rng.normal(size=SIZE)
    product = inverse_hessian_product(
        tf.constant(vector, "float32"), *stored(kept, "float32")
    )
    np.testing.assert_allclose(product, dense(kept) @ vector, rtol=2e-3)


@pytest.mark.parametrize("unit", [1e-12, 1.0, 1e12])
@pytest.mark.parametrize("curvature, count", [(-1.0, 0), (0.0, 0), (1e-12, 1)])
def test_a_pair_is_kept_in_every_unit_where_its_curvature_is_positive(
    unit, curvature, count
):
    step = np.array([1.0, 0, 0, 0, 0])
    gradient = unit * np.array([-1.0, 2, 0, 0, 0])
    change = unit * np.array([curvature, 1.0, 0, 0, 0])
    _, _, number = store_pair(
        tf.constant(step),
        tf.constant(change),
        tf.constant(gradient),
        *stored([]),
    )
    assert int(number) == count
