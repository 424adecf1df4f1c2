"""The outer tape around a training step."""

import threading

import keras
import pytest
import tensorflow as tf
from numpy.testing import assert_allclose

from keras_curvature.autodiff import (
    CurvatureTape,
    GradientGraph,
    curvature_of,
)


def gradients_of_cube(w):
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(w**3)
    return tape.gradient(loss, [w])


@pytest.mark.parametrize("in_function", [False, True])
def test_products_are_those_of_the_recorded_loss(in_function):
    w = tf.Variable([1.0, 2.0])

    def product():
        with CurvatureTape():
            curvature = curvature_of(gradients_of_cube(w), [w])
            return curvature.hessian_vector_product([[1.0, 10.0]])

    (result,) = (tf.function(product) if in_function else product)()
    assert_allclose(result, [6, 120])


def test_one_recording_serves_many_products_inside_and_after_the_block():
    w = tf.Variable([1.0, 2.0])
    with CurvatureTape() as tape:
        curvature = tape.curvature(gradients_of_cube(w), [w])
        inside = curvature.hessian_vector_product([[1.0, 0.0]])
    after = curvature.hessian_vector_product([[0.0, 1.0]])
    assert_allclose(inside[0] + after[0], [6, 12])


def test_it_is_the_current_tape_only_inside_its_block():
    assert CurvatureTape.current() is None
    with CurvatureTape() as outer:
        with CurvatureTape() as inner:
            assert CurvatureTape.current() is inner
        assert CurvatureTape.current() is outer
    assert CurvatureTape.current() is None


def test_an_error_inside_the_block_closes_it():
    with pytest.raises(ZeroDivisionError), CurvatureTape():
        _ = 1 / 0
    assert CurvatureTape.current() is None


def test_another_thread_has_tapes_of_its_own():
    seen = []
    with CurvatureTape():
        thread = threading.Thread(
            target=lambda: seen.append(CurvatureTape.current())
        )
        thread.start()
        thread.join()
    assert seen == [None]


def test_a_watched_variable_need_not_be_trainable():
    w = keras.Variable([1.0, 2.0], trainable=False)
    with CurvatureTape() as tape:
        tape.watch([w])
        with tf.GradientTape() as inner:
            inner.watch(w.value)
            loss = tf.reduce_sum(w.value**3)
        gradients = inner.gradient(loss, [w.value])
    product = tape.curvature(gradients, [w]).hessian_vector_product([[1, 1]])
    assert_allclose(product[0], [6, 12])


def test_what_happens_in_stop_recording_has_no_curvature():
    w = tf.Variable([1.0, 2.0])
    with CurvatureTape() as tape, tape.stop_recording():
        gradients = gradients_of_cube(w)
    with pytest.raises(ValueError, match="no Hessian to multiply with"):
        tape.curvature(gradients, [w]).hessian_vector_product([[1.0, 1.0]])


def test_stop_recording_nests_and_recording_goes_on_after_it():
    w = tf.Variable([1.0, 2.0])
    with CurvatureTape() as tape:
        with tape.stop_recording(), tape.stop_recording():
            pass
        gradients = gradients_of_cube(w)
    product = tape.curvature(gradients, [w]).hessian_vector_product([[1, 1]])
    assert_allclose(product[0], [6, 12])


def test_gradients_and_variables_of_another_number_are_refused():
    w = tf.Variable([1.0, 2.0])
    with (
        CurvatureTape() as tape,
        pytest.raises(ValueError, match="1 gradients and 2 variables"),
    ):
        tape.curvature(gradients_of_cube(w), [w, w])


def test_without_a_tape_curvature_comes_from_the_graph():
    w = tf.Variable([1.0, 2.0])

    @tf.function
    def product():
        curvature = curvature_of(gradients_of_cube(w), [w])
        assert isinstance(curvature, GradientGraph)
        return curvature.hessian_vector_product([[1.0, 10.0]])

    assert_allclose(product()[0], [6, 120])


def test_eager_gradients_without_a_tape_are_refused_with_the_way_out():
    w = tf.Variable([1.0, 2.0])
    with pytest.raises(RuntimeError, match=r"keras_curvature\.Model or"):
        curvature_of(gradients_of_cube(w), [w])
