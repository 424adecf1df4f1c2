"""What every activation layer promises to Keras, whatever its formula."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_curvature import layers
from tests.layers.exact_values import CASES

EVERY = {name: case[0] for name, case in CASES.items()}
EVERY["activation"] = lambda **kwargs: layers.Activation("tanh", **kwargs)

X = np.linspace(-2.5, 2.5, 12, dtype="float32").reshape(4, 3)


@pytest.fixture(params=EVERY)
def make(request):
    return EVERY[request.param]


def test_every_public_layer_is_under_test():
    tested = {type(make()).__name__ for make in EVERY.values()}
    assert tested == set(layers.__all__) - {"ElementwiseActivation"}


def test_config_round_trip_keeps_the_function(make):
    layer = make(name="mine")
    config = keras.saving.serialize_keras_object(layer)
    assert config["registered_name"].startswith("keras_curvature>")
    copy = keras.saving.deserialize_keras_object(config)
    assert copy.name == "mine"
    assert copy.get_config() == layer.get_config()
    np.testing.assert_array_equal(copy(X), layer(X))


def test_shape_dtype_and_mask_pass_through(make):
    for dtype in ("float16", "bfloat16", "float32", "float64"):
        layer = make()
        spec = layer.compute_output_spec(keras.KerasTensor((None, 3), dtype))
        assert (spec.shape, spec.dtype) == ((None, 3), dtype)
        x = tf.cast(X, dtype)
        for method in (layer, layer.first_derivative, layer.second_derivative):
            y = method(x)
            assert (y.shape, y.dtype.name) == (x.shape, dtype)
    assert make().compute_output_shape((2, 5)) == (2, 5)
    masked = keras.layers.Masking()(tf.zeros((1, 2, 3)))
    mask = make()(masked)._keras_mask
    np.testing.assert_array_equal(mask, [[False, False]])


def test_a_dtype_that_is_given_is_obeyed_and_saved(make):
    layer = make(dtype="float16")
    copy = type(layer).from_config(layer.get_config())
    for each in (layer, copy):
        assert each(X).dtype == "float16"
        assert each.compute_output_spec(keras.KerasTensor((3,))).dtype == (
            "float16"
        )


def test_integers_are_refused(make):
    with pytest.raises(TypeError, match="floating-point tensor"):
        make()(tf.constant([1, 2]))


def test_as_the_activation_of_a_float64_dense_it_keeps_float64(make):
    dense = keras.layers.Dense(3, activation=make(), dtype="float64")
    plain = keras.layers.Dense(3, dtype="float64")
    x = X.astype("float64")
    dense.build(x.shape), plain.build(x.shape)
    plain.set_weights(dense.get_weights())
    assert dense(x).dtype == "float64"
    np.testing.assert_array_equal(dense(x), make()(plain(x)))


@pytest.mark.parametrize("jit_compile", [False, True])
def test_symbolic_gradients_can_be_differentiated_again(make, jit_compile):
    layer = make()

    @tf.function(jit_compile=jit_compile, autograph=False)
    def first_and_second(x):
        (first,) = tf.gradients(layer(x), [x])
        (second,) = tf.gradients(first, [x], grad_ys=tf.ones_like(first))
        return first, second

    x = tf.constant(X, tf.float64)
    first, second = first_and_second(x)
    # 1e-12: the compiler may fuse and reorder; accuracy has its own test.
    np.testing.assert_allclose(
        first, layer.first_derivative(x), rtol=1e-12, atol=1e-14
    )
    np.testing.assert_allclose(
        second, layer.second_derivative(x), rtol=1e-12, atol=1e-12
    )


def test_a_gradient_penalty_on_the_second_derivative_trains(make):
    # What a physics-informed network does: its loss holds f''.
    layer = make()
    w = tf.Variable(0.7, dtype=tf.float64)
    x = tf.constant(X, tf.float64)

    def loss(value):
        return tf.reduce_sum(tf.square(layer.second_derivative(value * x)))

    with tf.GradientTape() as tape:
        value = loss(w)
    step = 1e-5
    truth = (loss(w + step) - loss(w - step)) / (2 * step)
    # Central differences with this step are good to 1e-7 of f⁗ ~ 30⁴.
    gradient = tape.gradient(value, w)
    scale = 1.0 + abs(float(truth))
    assert abs(float(gradient) - float(truth)) < 1e-5 * scale


def _parallel_model():
    """All layers side by side, every other one as an activation argument."""
    inputs = keras.Input((3,))
    hidden = keras.layers.Dense(len(EVERY))(inputs)
    branches = []
    for index, make in enumerate(EVERY.values()):
        layer = keras.layers.Activation(make()) if index % 2 else make()
        branches.append(layer(hidden[:, index : index + 1]))
    merged = keras.layers.Concatenate()(branches)
    return keras.Model(inputs, keras.layers.Dense(1)(merged))


@pytest.mark.parametrize(
    "jit_compile, policy", [(False, "float32"), (True, "mixed_float16")]
)
def test_fit_lowers_the_loss(jit_compile, policy):
    keras.utils.set_random_seed(0)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        model = _parallel_model()
    finally:
        keras.config.set_dtype_policy(before)
    model.compile(keras.optimizers.SGD(0.01), "mse", jit_compile=jit_compile)
    # Keras traces a step twice that creates the state of its optimizer.
    model.optimizer.build(model.trainable_variables)
    y = np.sum(X, axis=1, keepdims=True)
    history = model.fit(X, y, batch_size=4, epochs=20, verbose=0).history
    assert history["loss"][-1] < 0.7 * history["loss"][0]


def test_keras_file_round_trip(tmp_path):
    model = _parallel_model()
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(X), model(X))


def test_exported_saved_model_serves_without_this_package(tmp_path):
    model = _parallel_model()
    model.export(tmp_path / "exported", verbose=False)
    np.save(tmp_path / "x.npy", X)
    script = (
        "import sys, numpy as np, tensorflow as tf\n"
        "loaded = tf.saved_model.load('exported')\n"
        "y = loaded.serve(tf.constant(np.load('x.npy')))\n"
        "np.save('y.npy', y.numpy())\n"
        "assert 'keras_curvature' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
    # The graph optimizer may reorder a float32 sum: a few units of 6e-8.
    np.testing.assert_allclose(
        np.load(tmp_path / "y.npy"), model(X), rtol=1e-6, atol=1e-6
    )


# What the values of layers are made of. Each has an equivalent in TFLite and in
# ONNX; Expm1, Log1p and Erfc have none in ONNX. Add to it what
# benchmarks/exports.py has shown to convert.
CONVERTED = {
    *("Abs", "AddV2", "Cast", "Const", "Exp", "Greater", "Identity"),
    *("IdentityN", "Less", "Maximum", "Minimum", "Mul", "Neg", "NoOp"),
    *("Placeholder", "RealDiv", "Relu", "Round", "SelectV2", "Sigmoid", "Sin"),
    *("Softplus", "Square", "Sub", "Tanh"),
}


def test_other_runtimes_have_the_operations_of_the_value(make):
    function = tf.function(make()).get_concrete_function(tf.constant(X))
    graph = function.graph.as_graph_def()
    nodes = [
        *graph.node,
        *(n for f in graph.library.function for n in f.node_def),
    ]
    assert {node.op for node in nodes} <= CONVERTED
