"""Loops and branches that stay functions of their own."""

import pytest
import tensorflow as tf

from keras_curvature._control_flow import cond, while_loop

KINDS = {"If", "StatelessIf", "While", "StatelessWhile"}


def powers_of_two(count, start):
    _, value = while_loop(
        lambda i, _: i < count,
        lambda i, value: (i + 1, 2 * value),
        (tf.constant(0), start),
    )
    return cond(value[0] > 100, lambda: -value, lambda: value)


def operations(function):
    """The loops and branchings in the graph of a function."""
    graph = function.graph
    return {op.type: op for op in graph.get_operations() if op.type in KINDS}


def is_taken_apart(operation):
    return operation.get_attr("_lower_using_switch_merge")


@pytest.mark.parametrize("jit", [None, True], ids=["plain", "xla"])
@pytest.mark.parametrize("count", [0, 3, 7])
def test_they_compute_what_tensorflow_computes(jit, count):
    compiled = tf.function(powers_of_two, jit_compile=jit)
    expected = [-128.0 if count == 7 else 2.0**count]
    assert compiled(tf.constant(count), tf.ones(1)).numpy() == expected
    assert powers_of_two(count, tf.ones(1)).numpy() == expected


def test_small_ones_stay_functions():
    traced = tf.function(powers_of_two).get_concrete_function(
        tf.constant(3), tf.ones(1)
    )
    found = operations(traced)
    assert set(found) == {"StatelessWhile", "StatelessIf"}
    assert not any(map(is_taken_apart, found.values()))


@pytest.mark.parametrize("length", [2**20 + 1, 2**20], ids=["large", "small"])
def test_large_ones_are_left_to_tensorflow(length):
    traced = tf.function(powers_of_two).get_concrete_function(
        tf.constant(3), tf.TensorSpec((length,))
    )
    is_large = length > 2**20
    assert is_taken_apart(operations(traced)["StatelessWhile"]) == is_large


def test_they_are_left_to_tensorflow_on_replicas():
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    with strategy.scope():
        traced = tf.function(powers_of_two).get_concrete_function(
            tf.constant(3), tf.ones(1)
        )
    assert all(map(is_taken_apart, operations(traced).values()))
