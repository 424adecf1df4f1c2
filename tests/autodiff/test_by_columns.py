"""Jacobians of each sample, weight after weight where that is fewer passes."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.testing import assert_allclose

import keras_curvature
from keras_curvature.autodiff import SecondDerivativeError, per_sample_jacobian
from tests.oracles import values_of

pytestmark = pytest.mark.filterwarnings("ignore:per_sample_jacobian")


class Pendulum(keras.layers.Layer):
    """A damped pendulum, integrated by Euler steps in a loop."""

    def build(self, _):
        self.w = self.add_weight(shape=(3,), initializer="ones", name="w")

    def call(self, x):
        return integrated(x, self.w)


def integrated(x, w):
    def slope(y):
        pull = w[1] * tf.sin(y[:, 0]) + w[2] * y[:, 1]
        return tf.stack([w[0] * y[:, 1], -pull], 1)

    def step(i, y):
        return i + 1, y + 0.2 * slope(y)

    return tf.while_loop(
        lambda i, _: i < 4, step, (0, x), maximum_iterations=4
    )[1]


def filtered(x, w):
    """Of two inputs, by an operation that TensorFlow cannot vectorize."""
    y = tf.pad(x * w[:2], [[0, 0], [0, 0]], "REFLECT")
    return tf.tanh(y + w[2])


class Reflected(keras.layers.Layer):
    """Images with a border that mirrors them."""

    def call(self, x):
        return tf.pad(x, [[0, 0], [1, 1], [0, 0], [0, 0]], "REFLECT")


MODELS = {
    "loop": ((2,), lambda: [Pendulum()]),
    "mirrored images": (
        (3, 3, 2),
        lambda: [
            Reflected(),
            keras.layers.Conv2D(2, 2, activation="tanh"),
            keras.layers.GlobalAveragePooling2D(),
        ],
    ),
}


def model_of(name, seed=0):
    keras.utils.set_random_seed(seed)
    shape, layers = MODELS[name]
    return shape, keras.Sequential([keras.Input(shape), *layers()])


def central_differences(model, x, step=1e-5):
    """The Jacobian by each variable, entry after entry."""
    jacobians = []
    for variable in values_of(model.trainable_variables):
        start, columns = variable.numpy(), []
        for k in range(start.size):
            ends = []
            for sign in (1, -1):
                moved = start.copy()
                moved.flat[k] += sign * step
                variable.assign(moved)
                ends.append(model(x).numpy())
            columns.append((ends[0] - ends[1]) / (2 * step))
        variable.assign(start)
        columns = np.stack(columns, -1)
        jacobians.append(columns.reshape(*columns.shape[:-1], *start.shape))
    return jacobians


@pytest.fixture
def passes(monkeypatch):
    """How many passes each loop takes that is built."""
    counts, original = [], tf.map_fn

    def counted(function, elements, **options):
        counts.append(tf.nest.flatten(elements)[0].shape[0])
        return original(function, elements, **options)

    monkeypatch.setattr(tf, "map_fn", counted)
    return counts


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("loop", "unknown batch"),
        *(
            ("mirrored images", how)
            for how in ("eager", "graph", "unknown batch", "jit")
        ),
    ],
)
def test_columns_are_right(name, how, float64, rng, passes):
    shape, model = model_of(name)
    x = tf.constant(rng.normal(size=(12, *shape)))

    def jacobians(x):
        return per_sample_jacobian(model, x, model.trainable_variables)

    function = jacobians
    if how != "eager":
        batch = None if how == "unknown batch" else 12
        function = tf.function(
            jacobians,
            input_signature=[tf.TensorSpec((batch, *shape), "float64")],
            jit_compile=how == "jit",
        )
    outputs, columns = function(x)
    size = sum(v.shape.num_elements() for v in model.trainable_variables)
    assert size in passes
    assert_allclose(outputs, model(x), atol=1e-14)
    for column, expected in zip(
        columns, central_differences(model, x), strict=True
    ):
        assert_allclose(column, expected, rtol=0, atol=1e-9)
    if how == "eager":
        # Two samples have fewer outputs than there are columns.
        passes.clear()
        _, rows = jacobians(x[:2])
        assert passes == [2]
        for row, column in zip(rows, columns, strict=True):
            assert_allclose(row, column[:2], rtol=0, atol=1e-12)


def test_the_fewer_passes_are_taken(rng, passes):
    w = tf.Variable([1.0, 2.0, 3.0])
    # 2 outputs for each sample, against 3 weights and one pass for all.
    for samples, taken in ((30, 3), (3, 3), (2, 2)):
        passes.clear()
        x = rng.normal(size=(samples, 2)).astype("float32")
        per_sample_jacobian(lambda x: filtered(x, w), x, [w])
        assert passes == [taken]


def test_many_weights_are_not_taken_one_by_one(rng, passes):
    w, v = tf.Variable([1.0, 2.0, 3.0]), tf.Variable(tf.ones((2, 200)))
    x = rng.normal(size=(500, 2)).astype("float32")

    def outputs(x):
        return tf.reduce_sum(filtered(x, w) @ v, 1)

    function = tf.function(lambda x: per_sample_jacobian(outputs, x, [w, v]))
    function.get_concrete_function(x)
    assert passes == [500]


def test_a_variable_without_influence_has_zeros_or_is_named(rng):
    w, idle = tf.Variable([1.0, 2.0, 3.0]), tf.Variable(1.0, name="idle")
    x = rng.normal(size=(6, 2)).astype("float32")

    def outputs(x):
        return filtered(x, w)

    _, (_, zeros) = per_sample_jacobian(outputs, x, [w, idle], "zero")
    assert_allclose(zeros, np.zeros((6, 2)))
    with pytest.raises(ValueError, match="no gradient for idle"):
        per_sample_jacobian(outputs, x, [w, idle])


def test_columns_of_a_structure_of_inputs(float64, rng):
    w = tf.Variable([1.0, 2.0, 3.0], dtype="float64")
    x, scale = rng.normal(size=(6, 2)), rng.normal(size=6)
    _, (plain,) = per_sample_jacobian(lambda x: filtered(x, w), x, [w])
    _, (scaled,) = per_sample_jacobian(
        lambda data: filtered(data["x"], w) * data["scale"][:, None],
        {"x": x, "scale": scale},
        [w],
    )
    assert_allclose(scaled, plain * scale[:, None, None], atol=1e-14)


def test_samples_that_are_mixed_are_taken_alone(float64, rng):
    w = tf.Variable([1.0, 2.0, 3.0], dtype="float64")

    def centered(x):
        y = filtered(x, w)
        return y - tf.reduce_mean(y, 0)

    outputs, (jacobian,) = per_sample_jacobian(
        centered, rng.normal(size=(6, 2)), [w]
    )
    assert_allclose(outputs, np.zeros((6, 2)), atol=1e-14)
    assert_allclose(jacobian, np.zeros((6, 2, 3)), atol=1e-14)


def test_without_a_second_derivative_rows_are_taken(rng, passes, monkeypatch):
    w = tf.Variable([1.0, 2.0, 3.0])
    x = rng.normal(size=(6, 2)).astype("float32")

    def refuse(*args):
        raise SecondDerivativeError("none")

    monkeypatch.setattr(
        keras_curvature.autodiff._by_columns, "_Columns", refuse
    )
    per_sample_jacobian(lambda x: filtered(x, w), x, [w])
    assert passes == [6]


def test_a_layer_that_mixes_samples_is_found_out_by_columns(rng):
    class Centered(keras.layers.Layer):
        def call(self, x):
            return x - tf.reduce_mean(x, axis=0)

    model = keras_curvature.Sequential(
        [
            keras.Input((2,)),
            keras.layers.Reshape((2, 1, 1)),
            keras.layers.Conv2D(1, 1),
            Reflected(),
            keras.layers.Flatten(),
            Centered(),
        ]
    )
    model.compile(keras_curvature.optimizers.LevenbergMarquardt(), "mse")
    x = rng.normal(size=(12, 2)).astype("float32")
    y = rng.normal(size=(12, 4)).astype("float32")
    with pytest.raises(RuntimeError, match="one by one"):
        model.fit(x, y, batch_size=12, verbose=0)
