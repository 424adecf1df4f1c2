"""An optimizer meets variables, or a state, that it was not made for."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_curvature.optimizers import (
    KFAC,
    AdaHessian,
    SecondOrderGradient,
    Sophia,
)
from keras_curvature.optimizers._common.known_variables import check_all_known
from tests.optimizers.helpers import X, fit, network

OPTIMIZERS = {
    "second_order_gradient": lambda: SecondOrderGradient("adam"),
    "adahessian": AdaHessian,
    "sophia": Sophia,
    "kfac": KFAC,
}
every = pytest.mark.parametrize("name", OPTIMIZERS)


def trained(optimizer):
    model = network()
    model.compile(optimizer, "mse")
    fit(model, x=X[:6], y=X[:6, :1])
    return model


@every
@pytest.mark.parametrize("other", ["second model", "clone", "unfrozen"])
def test_other_variables_are_refused_as_keras_does(name, other):
    messages = []
    for optimizer in (OPTIMIZERS[name](), keras.optimizers.Adam()):
        model = network()
        model.layers[0].trainable = other != "unfrozen"
        optimizer.build(model.trainable_variables)
        if other == "clone":
            model = keras.models.clone_model(model)
        elif other == "second model":
            model = network()
        model.layers[0].trainable = True
        variables = model.trainable_variables
        with pytest.raises(ValueError, match="Unknown variable") as error:
            optimizer.apply([tf.ones(v.shape) for v in variables], variables)
        messages.append(str(error.value).split("This optimizer")[1])
    assert messages[0] == messages[1]


@every
def test_a_layer_frozen_after_a_first_fit_stays(name):
    model = trained(OPTIMIZERS[name]())
    model.layers[0].trainable = False
    model.compile(model.optimizer, "mse")
    frozen = model.layers[0].get_weights()
    head = model.layers[1].get_weights()
    fit(model, x=X[:6], y=X[:6, :1])
    for old, new in zip(frozen, model.layers[0].get_weights(), strict=True):
        np.testing.assert_array_equal(new, old)
    assert not np.array_equal(head[0], model.layers[1].get_weights()[0])


def test_an_inner_optimizer_of_another_model_is_refused():
    inner = keras.optimizers.Adam()
    inner.build(network().trainable_variables)
    optimizer = SecondOrderGradient(inner)
    with pytest.raises(ValueError, match="Unknown variable"):
        optimizer.build(network().trainable_variables)


def test_all_variables_must_be_there_where_the_state_is_one():
    optimizer, model = keras.optimizers.SGD(), network()
    variables = model.trainable_variables
    optimizer.build(variables)
    check_all_known(optimizer, variables)
    with pytest.raises(ValueError, match=r"Missing: .*kernel, .*bias\. When"):
        check_all_known(optimizer, variables[2:])
    with pytest.raises(ValueError, match="Unknown variable"):
        check_all_known(optimizer, network().trainable_variables)


def twins(trained_layer, optimizer):
    """Two layers of equal shape, one of them trained."""
    keras.utils.set_random_seed(1)
    first = keras.layers.Dense(3, "tanh", name="first")
    second = keras.layers.Dense(3, "tanh", name="second")
    model = keras.Sequential([keras.Input((3,)), first, second])
    model.layers[1 - trained_layer].trainable = False
    model.compile(optimizer, "mse")
    return model


@every
def test_the_state_of_another_layer_of_equal_shape_is_said(name, tmp_path):
    path = str(tmp_path / "twins.weights.h5")
    model = twins(0, OPTIMIZERS[name]())
    model.optimizer.build(model.trainable_variables)
    model.save_weights(path)
    other = twins(1, OPTIMIZERS[name]())
    other.optimizer.build(other.trainable_variables)
    with pytest.warns(UserWarning, match="first/kernel → .*second/kernel"):
        other.load_weights(path)


@every
def test_the_state_of_the_same_layers_built_again_says_nothing(name, tmp_path):
    path = str(tmp_path / "model.weights.h5")
    model = network()
    model.compile(OPTIMIZERS[name](), "mse")
    model.optimizer.build(model.trainable_variables)
    for number, variable in enumerate(model.optimizer.variables):
        variable.assign(np.full(variable.shape, number))
    model.save_weights(path)
    other = network()  # its layers have higher numbers
    other.compile(OPTIMIZERS[name](), "mse")
    other.optimizer.build(other.trainable_variables)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        other.load_weights(path)
    for left, right in zip(
        model.optimizer.variables, other.optimizer.variables, strict=True
    ):
        np.testing.assert_array_equal(left.numpy(), right.numpy())


def test_a_state_saved_without_names_still_loads():
    optimizer, model = AdaHessian(), network()
    optimizer.build(model.trainable_variables)
    store = {}
    optimizer.save_own_variables(store)
    assert len(store) == len(optimizer.variables) + 1
    del store["variable_names"]
    store["0"] = np.array(7)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        optimizer.load_own_variables(store)
    assert optimizer.iterations == 7


def test_another_number_of_variables_is_said_by_keras():
    optimizer, model = AdaHessian(), network()
    optimizer.build(model.trainable_variables)
    store = {}
    optimizer.save_own_variables(store)
    other = AdaHessian()
    other.build(model.trainable_variables[:2])
    with pytest.warns(UserWarning, match="Skipping variable loading"):
        other.load_own_variables(store)
