"""keras_curvature.Model and Sequential as Keras models."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.testing import assert_allclose, assert_array_equal

import keras_curvature
from keras_curvature.autodiff import CurvatureTape
from keras_curvature.optimizers import SecondOrderGradient
from tests.optimizers.helpers import X, fit, network, weights, weights_after

DENSE = keras.layers.Dense


def functional(model_class):
    keras.utils.set_random_seed(1)
    inputs = keras.Input((3,))
    hidden = DENSE(4, activation="tanh")(inputs)
    return model_class(inputs, DENSE(1)(hidden))


@keras.saving.register_keras_serializable(package="tests")
class Subclassed(keras_curvature.Model):
    """A model with weights of its own and an option."""

    def __init__(self, units=4, **options):
        super().__init__(**options)
        self.units = units
        self.first, self.second = DENSE(units, activation="tanh"), DENSE(1)

    def call(self, x):
        return self.second(self.first(x))

    def get_config(self):
        return {**super().get_config(), "units": self.units}


MODELS = {
    "sequential": lambda: network(keras_curvature.Sequential),
    "functional": lambda: functional(keras_curvature.Model),
    "subclassed": Subclassed,
}


@pytest.mark.parametrize("eager", [False, True])
@pytest.mark.parametrize("model", MODELS)
def test_the_optimizer_sees_a_tape(model, eager):
    seen = []

    class Spy(SecondOrderGradient):
        def apply(self, grads, trainable_variables=None):
            seen.append(CurvatureTape.current() is not None)
            super().apply(grads, trainable_variables)

    model = MODELS[model]()
    model.compile(Spy("sgd"), "mse", run_eagerly=eager)
    fit(model)
    assert seen and all(seen)
    assert CurvatureTape.current() is None


@pytest.mark.parametrize("model", MODELS)
def test_a_first_order_optimizer_pays_for_no_tape(model):
    seen = []

    class Spy(keras.optimizers.SGD):
        def apply(self, grads, trainable_variables=None):
            seen.append(CurvatureTape.current())
            super().apply(grads, trainable_variables)

    for optimizer in (Spy(), SecondOrderGradient(Spy(), curvature_weight=0)):
        fresh = MODELS[model]()
        fresh.compile(optimizer, "mse")
        fit(fresh)
    assert seen and not any(seen)


def test_first_order_training_is_that_of_keras_to_the_last_bit():
    assert_array_equal(
        weights_after("adam", keras_curvature.Sequential), weights_after("adam")
    )


@pytest.mark.parametrize("model", MODELS)
def test_a_model_survives_its_file_and_resumes_eagerly_too(
    model, float64, tmp_path
):
    model = MODELS[model]()
    model.compile(SecondOrderGradient("adam", update_period=3), "mse")
    fit(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded) is type(model)
    assert_array_equal(
        loaded.predict(X, verbose=0), model.predict(X, verbose=0)
    )
    # In eager mode only the nested tapes can give the curvature.
    loaded.compile(loaded.optimizer, "mse", run_eagerly=True)
    fit(loaded)
    fit(model)
    assert_allclose(weights(loaded), weights(model), rtol=1e-12)


def test_model_with_inputs_and_outputs_is_functional():
    model = functional(keras_curvature.Model)
    assert isinstance(model, keras_curvature.training.Functional)
    assert [layer.name for layer in model.layers][1:] == ["dense", "dense_1"]
    inputs = keras.Input((3,))
    by_name = keras_curvature.Model(inputs=inputs, outputs=DENSE(1)(inputs))
    assert isinstance(by_name, keras_curvature.training.Functional)


def test_model_can_be_subclassed_after_it_was_used_functionally():
    functional(keras_curvature.Model)

    class Late(keras_curvature.Model):
        def __init__(self):
            super().__init__()
            self.dense = DENSE(1)

        def call(self, x):
            return self.dense(x)

    model = Late()
    model.compile(SecondOrderGradient("sgd"), "mse", run_eagerly=True)
    fit(model)
    assert np.isfinite(weights(model)).all()


def test_a_subclass_can_be_functional():
    class Named(keras_curvature.Model):
        def describe(self):
            return f"{len(self.layers)} layers"

    model = functional(Named)
    assert isinstance(model, Named)
    assert model.describe() == "3 layers"
    model.compile(SecondOrderGradient("sgd"), "mse", run_eagerly=True)
    fit(model)


def test_evaluate_and_predict_are_those_of_keras():
    plain, recorded = network(), network(keras_curvature.Sequential)
    for model in (plain, recorded):
        model.compile(SecondOrderGradient("sgd"), "mse", metrics=["mae"])
    y = np.ones((24, 1))
    assert_array_equal(
        recorded.evaluate(X, y, verbose=0), plain.evaluate(X, y, verbose=0)
    )
    assert_array_equal(
        recorded.predict(X, verbose=0), plain.predict(X, verbose=0)
    )


@pytest.mark.parametrize("update_period", [1, 10])
@pytest.mark.parametrize(
    "model_class", [keras.Sequential, keras_curvature.Sequential]
)
def test_the_whole_training_step_compiles_under_xla(model_class, update_period):
    # What a TPU needs: one program, with no operation left outside.
    model = network(model_class)
    optimizer = SecondOrderGradient("adam", update_period=update_period)
    model.compile(optimizer, "mse", jit_compile=True)
    optimizer.build(model.trainable_variables)
    x, y = tf.ones((6, 3)), tf.ones((6, 1))
    model.train_on_batch(x, y)
    step = tf.function(model.train_step, jit_compile=True)
    program = step.experimental_get_compiler_ir((x, y))(stage="hlo")
    assert program.startswith("HloModule")
    assert "custom-call" not in program
    graph = step.get_concrete_function((x, y)).graph
    assert not [op for op in graph.get_operations() if "PyFunc" in op.type]
