"""A training step is traced once."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_curvature
from keras_curvature import optimizers
from tests.optimizers.helpers import X

Y = X[:, :1]


class Traced(keras.layers.Layer):
    """Counts its calls in Python, those of traces."""

    count = 0

    def call(self, x):
        self.count += 1
        return x


def traces(model_class, optimizer, **options):
    counter = Traced()
    model = model_class([keras.Input((3,)), counter, keras.layers.Dense(1)])
    model.compile(optimizer, "mse", **options)
    counter.count = 0
    model.train_on_batch(X, Y)
    model.train_on_batch(X, Y)
    return counter.count


OPTIMIZERS = {
    "adam": lambda: "adam",
    "averages": lambda: keras.optimizers.SGD(
        use_ema=True, gradient_accumulation_steps=2
    ),
    "loss scale": lambda: keras.optimizers.LossScaleOptimizer(
        optimizers.SecondOrderGradient("adam")
    ),
    "adahessian": optimizers.AdaHessian,
    "sophia": optimizers.Sophia,
    "lbfgs": optimizers.LBFGS,
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_first_step_is_traced_once(optimizer):
    make = OPTIMIZERS[optimizer]
    assert traces(keras_curvature.Sequential, make(), metrics=["mae"]) == 1


def test_ours_is_traced_once_in_a_plain_keras_model():
    optimizer = optimizers.SecondOrderGradient("adam")
    assert traces(keras.Sequential, optimizer, steps_per_execution=2) == 1


def test_weights_may_be_created_by_the_first_step():
    model = keras_curvature.Sequential([keras.layers.Dense(1)])
    model.compile(optimizers.SecondOrderGradient("sgd"), "mse")
    model.train_on_batch(X, Y)
    assert model.optimizer.iterations == 1
    assert len(model.trainable_weights) == 2


def test_variables_of_a_step_are_created_where_the_strategy_wants_them(
    mirrored_strategy,
):
    with mirrored_strategy.scope():
        model = keras_curvature.Sequential(
            [keras.Input((3,)), keras.layers.Dense(1)]
        )
        model.compile(optimizers.SecondOrderGradient("adam"), "mse")
    step = tf.function(
        lambda batch: mirrored_strategy.run(model.train_step, args=(batch,))
    )
    step((tf.constant(X), tf.constant(Y)))
    for variable in model.optimizer.variables:
        values = mirrored_strategy.experimental_local_results(variable.value)
        assert len(values) == 2
        np.testing.assert_array_equal(*(v.numpy() for v in values))


@pytest.mark.parametrize("other", [False, True], ids=["dense", "normalized"])
@pytest.mark.parametrize("solver", ["LBFGS", "SelfScaledBroyden", "NewtonCG"])
def test_the_graph_optimizer_is_left_out_for_dense_layers(solver, other):
    layers = [keras.layers.Dense(4), keras.layers.Dense(1)]
    if other:
        layers.insert(1, keras.layers.LayerNormalization())
    model = keras_curvature.Sequential([keras.Input(X.shape[1:]), *layers])
    optimizer = getattr(optimizers, solver)()
    model.compile(optimizer, "mse")
    model.train_on_batch(X, X[:, :1])
    # Products with the Hessian in a loop are shorter when rewritten.
    expected = not other and solver != "NewtonCG"
    assert optimizer.runs_as_traced == expected
