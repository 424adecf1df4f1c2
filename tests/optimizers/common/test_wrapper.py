"""What SecondOrderGradient hands to the optimizer inside, and takes back."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_curvature.optimizers import (
    KFAC,
    LBFGS,
    AdaHessian,
    GaussNewton,
    LevenbergMarquardt,
    NewtonCG,
    SecondOrderGradient,
    SelfScaledBroyden,
    Sophia,
)
from tests.optimizers.helpers import network


class OwnCurvature(keras.optimizers.SGD):
    """Somebody's own optimizer that asks for curvature."""

    uses_curvature = True


CURVATURE = [
    LBFGS,
    NewtonCG,
    LevenbergMarquardt,
    GaussNewton,
    AdaHessian,
    Sophia,
    SecondOrderGradient,
    KFAC,
    SelfScaledBroyden,
    OwnCurvature,
]


@pytest.mark.parametrize("make", CURVATURE)
def test_a_curvature_optimizer_inside_is_refused_when_made(make):
    name = make.__name__
    message = rf"first-order Keras.*optimizer={name}\. Use {name}"
    with pytest.raises(ValueError, match=message):
        SecondOrderGradient(make())


@pytest.mark.parametrize("make", [LBFGS, AdaHessian, OwnCurvature])
def test_a_part_that_uses_curvature_is_refused(make):
    parts = keras.optimizers.OptimizerMap(
        keras.optimizers.SGD(), {".*kernel": make()}
    )
    with pytest.raises(ValueError, match=f"optimizer={make.__name__}"):
        SecondOrderGradient(keras.optimizers.MultiOptimizer(parts))


def test_a_part_chosen_late_is_refused_before_the_first_step():
    late = AdaHessian()
    optimizer = SecondOrderGradient(
        keras.optimizers.MultiOptimizer(lambda variable: late)
    )
    with pytest.raises(ValueError, match="optimizer=AdaHessian"):
        optimizer.build([keras.Variable(1.0, name="w")])


def test_what_is_no_optimizer_is_refused():
    with pytest.raises(ValueError, match="Received: optimizer=None"):
        SecondOrderGradient(None)
    scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD())
    with pytest.raises(ValueError, match=r"LossScaleOptimizer\(SecondOrder"):
        SecondOrderGradient(scaled)


def built():
    optimizer = SecondOrderGradient("adam", update_period=2)
    optimizer.build(network().trainable_variables)
    return optimizer


def values_of(optimizer):
    return [v.numpy() for v in optimizer.variables]


def test_set_weights_sets_the_inner_state_too():
    source, target = built(), built()
    for number, variable in enumerate(source.variables):
        variable.assign(np.full(variable.shape, number + 1))
    target.set_weights(values_of(source))
    for left, right in zip(values_of(target), values_of(source), strict=True):
        np.testing.assert_array_equal(left, right)
    assert target.inner_optimizer.iterations == source.iterations > 0


def test_set_weights_wants_an_array_for_each_variable():
    optimizer = built()
    with pytest.raises(ValueError, match="inner optimizer included"):
        optimizer.set_weights(values_of(optimizer)[:-1])
    with pytest.raises(ValueError, match="has not yet been built"):
        SecondOrderGradient("adam").set_weights([])


def test_own_variables_hold_the_inner_state():
    source, target, store = built(), built(), {}
    for number, variable in enumerate(source.variables):
        variable.assign(np.full(variable.shape, number + 1))
    source.save_own_variables(store)
    target.load_own_variables(store)
    for left, right in zip(values_of(target), values_of(source), strict=True):
        np.testing.assert_array_equal(left, right)


def test_repr_says_what_it_is():
    assert repr(SecondOrderGradient("adam", curvature_weight=0.25)) == (
        "SecondOrderGradient(Adam, gradient_weight=1.0, "
        "curvature_weight=0.25, normalize=False, update_period=1)"
    )


@pytest.mark.parametrize("arguments", [("sgd", 0.5), (0.1, 0.9)])
def test_all_arguments_but_the_first_are_named(arguments):
    kinds = (
        [SecondOrderGradient]
        if arguments[0] == "sgd"
        else [
            AdaHessian,
            Sophia,
        ]
    )
    for kind in kinds:
        with pytest.raises(TypeError, match="positional"):
            kind(*arguments)


def after_a_step(optimizer):
    """w after a step of L = ½ w² from 1, in float64 under floatx float32."""
    w = keras.Variable([1.0], dtype="float64")
    optimizer.build([w])

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = optimizer.scale_loss(w.value**2 / 2)
        optimizer.apply(tape.gradient(loss, [w.value]), [w])

    step()
    return w.numpy()[0]


@pytest.mark.parametrize("normalize", [False, True])
def test_weights_of_gradient_and_product_keep_their_digits(normalize):
    inner = keras.optimizers.SGD(1.0, loss_scale_factor=0.3)
    optimizer = SecondOrderGradient(
        inner, gradient_weight=0.7, curvature_weight=0.1, normalize=normalize
    )
    # H = 1 and ‖g‖ = 1: d = 0.7 + 0.1.
    np.testing.assert_allclose(1 - after_a_step(optimizer), 0.8, rtol=1e-15)


def test_a_learning_rate_from_a_callable_keeps_its_digits():
    # Each entry that is clipped moves by the learning rate.
    sophia = Sophia(lambda: 0.1, rho=1e-9, loss_scale_factor=0.3)
    np.testing.assert_allclose(1 - after_a_step(sophia), 0.1, rtol=1e-15)
    # After one step m̂ = g = 1 and √v̂ = |D| = 1.
    adahessian = AdaHessian(lambda: 0.1, epsilon=0.0, loss_scale_factor=0.3)
    np.testing.assert_allclose(1 - after_a_step(adahessian), 0.1, rtol=4e-15)
