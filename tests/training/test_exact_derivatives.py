"""Derivatives inside a model or its loss, wherever the model computes."""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_curvature
from keras_curvature.autodiff import SecondDerivativeError, exact_derivatives
from keras_curvature.optimizers import (
    KFAC,
    LBFGS,
    AdaHessian,
    LevenbergMarquardt,
    SecondOrderGradient,
    SelfScaledBroyden,
)

layers = keras.layers
X = np.linspace(0.05, 0.95, 6)[:, None]
Y = -(np.pi**2) * np.sin(np.pi * X)
MODES = [{}, {"run_eagerly": True}, {"jit_compile": True}]
NORMS = {
    "LayerNormalization": layers.LayerNormalization,
    "GroupNormalization": lambda: layers.GroupNormalization(2),
    "BatchNormalization": layers.BatchNormalization,
}


def second_derivative(function, z):
    with tf.GradientTape() as outer:
        outer.watch(z)
        with tf.GradientTape() as inner:
            inner.watch(z)
            u = function(z)
        u_x = inner.gradient(u, z)
    return outer.gradient(u_x, z)


def network(norm):
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((1,)),
            layers.Dense(4, "tanh"),
            norm(),
            layers.Dense(4, "tanh"),
            layers.Dense(1),
        ]
    )


def curved(norm, base=keras_curvature.Model, traced=False):
    """A model that returns u″ of a network."""

    class Curved(base):
        def __init__(self):
            super().__init__()
            self.net = network(norm)
            self.second = second_derivative
            if traced:
                self.second = tf.function(second_derivative)

        def call(self, z):
            return self.second(self.u, z)

        def u(self, z):
            return z * (1 - z) * self.net(z, training=True)

    return Curved()


def true_second_derivative(function, x, h=2e-4):
    """Differences of the gradient of the sum of u, summed over samples."""

    def gradient(z):
        z = tf.constant(z)
        with tf.GradientTape() as tape:
            tape.watch(z)
            u = function(z)
        return tape.gradient(u, z).numpy().sum()

    columns = []
    for unit in np.eye(len(x)):
        unit = unit[:, None]
        coarse, fine = (
            (gradient(x + s * unit) - gradient(x - s * unit)) / (2 * s)
            for s in (h, h / 2)
        )
        columns.append((4 * fine - coarse) / 3)
    return np.array(columns)[:, None]


def assert_right(values, model):
    truth = true_second_derivative(model.u, X)
    np.testing.assert_allclose(
        values, truth, rtol=0, atol=1e-7 * np.abs(truth).max()
    )


@pytest.mark.parametrize(
    "norm, options",
    [
        ("LayerNormalization", {}),
        ("LayerNormalization", {"jit_compile": True}),
        ("GroupNormalization", {"run_eagerly": True}),
        ("BatchNormalization", {}),
    ],
)
def test_a_derivative_in_the_call_is_exact(norm, options, float64):
    model = curved(NORMS[norm])
    model.compile("adam", "mse", **options)
    whole = {"batch_size": len(X), "verbose": 0}
    assert_right(model(X), model)
    loss = model.evaluate(X, Y, **whole)
    truth = true_second_derivative(model.u, X)
    np.testing.assert_allclose(loss, np.mean((truth - Y) ** 2), rtol=1e-7)
    logs = model.fit(X, Y, shuffle=False, **whole).history
    np.testing.assert_allclose(logs["loss"][0], loss, rtol=1e-12)
    assert_right(model.predict(X, **whole), model)


def test_a_derivative_in_a_traced_function_of_the_model_is_exact(float64):
    model = curved(layers.LayerNormalization, traced=True)
    assert_right(model.predict(X, verbose=0), model)
    assert_right(model(X), model)


def test_a_derivative_by_tf_gradients_is_exact(float64):
    class Curved(keras_curvature.Model):
        def __init__(self):
            super().__init__()
            self.u = network(layers.LayerNormalization)

        def call(self, z):
            u_x = tf.gradients(self.u(z), z)
            return tf.gradients(u_x, z)[0]

    model = Curved()
    assert_right(model.predict(X, verbose=0), model)


@pytest.mark.parametrize("optimizer", [LBFGS, LevenbergMarquardt])
def test_a_solver_minimizes_the_true_residual(optimizer, float64):
    model = curved(layers.LayerNormalization)
    model.compile(optimizer(), "mse")
    model.fit(X, Y, batch_size=len(X), epochs=15, shuffle=False, verbose=0)
    residual = true_second_derivative(model.u, X) - Y
    step = np.mean((model.predict(X, verbose=0) - Y) ** 2)
    # The true derivative is one of differences, right to eleven digits.
    np.testing.assert_allclose(
        step, np.mean(residual**2), rtol=1e-6, atol=1e-20
    )


def test_an_exported_model_differentiates_exactly(tmp_path, float64):
    model = curved(layers.LayerNormalization)
    model.predict(X, verbose=0)
    model.export(tmp_path / "exported", verbose=False)
    loaded = tf.saved_model.load(str(tmp_path / "exported"))
    assert_right(loaded.serve(X), model)


def test_replicas_differentiate_exactly(float64, mirrored_strategy):
    with mirrored_strategy.scope():
        model = curved(layers.LayerNormalization)
        model.compile("sgd", "mse")
    truth = np.mean((true_second_derivative(model.u, X) - Y) ** 2)
    logs = model.fit(X, Y, batch_size=len(X), shuffle=False, verbose=0)
    np.testing.assert_allclose(logs.history["loss"][0], truth, rtol=1e-7)


def interpolated():
    return keras.Sequential(
        [
            layers.Dense(4),
            layers.Reshape((2, 2, 1)),
            layers.UpSampling2D(2, interpolation="bilinear"),
            layers.Activation("tanh"),
            layers.MaxPooling2D(2, 1, "same"),
            layers.Flatten(),
        ]
    )


@pytest.mark.parametrize("options", MODES, ids=str)
def test_resizing_and_pooling_are_exact_in_a_derivative(options):
    """In single precision, the only one of these kernels."""
    model = curved(interpolated)
    model.compile("sgd", "mse", **options)
    model.predict(X, verbose=0)
    values = model.predict(X, verbose=0)
    # The same function of other operations, which TensorFlow has right.
    weights = model.net.layers[1].layers[0]

    def u(z):
        x = z
        for layer in (model.net.layers[0], weights):
            x = layer(x)
        x = tf.reshape(x, (-1, 2, 2))
        rows = tf.constant(
            [[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]], x.dtype
        )
        x = tf.tanh(tf.einsum("ia,nab,jb->nij", rows, x, rows))
        x = tf.pad(x, [[0, 0], [0, 1], [0, 1]], constant_values=-9.0)
        windows = [x[:, i : i + 4, j : j + 4] for i in (0, 1) for j in (0, 1)]
        x = tf.reduce_max(tf.stack(windows), 0)
        for layer in model.net.layers[2:]:
            x = layer(tf.reshape(x, (-1, 16)) if x.shape.rank == 3 else x)
        return z * (1 - z) * x

    truth = second_derivative(u, tf.constant(X, "float32"))
    np.testing.assert_allclose(
        values, truth, rtol=0, atol=1e-4 * np.abs(truth).max()
    )


def penalized(base, critic):
    """WGAN-GP: the gradient by the inputs is held to a norm of one."""

    class Penalized(base):
        def __init__(self):
            super().__init__()
            self.critic = critic

        def call(self, x, training=None):
            return self.critic(x, training=training)

        def penalty(self, x):
            with tf.GradientTape() as tape:
                tape.watch(x)
                scores = self.critic(x, training=True)
            slopes = tape.gradient(scores, x)
            norms = tf.norm(slopes, axis=1)
            return tf.reduce_mean((norms - 1.0) ** 2)

        def train_step(self, data):
            x, _, _ = keras.utils.unpack_x_y_sample_weight(data)
            with tf.GradientTape() as tape:
                loss = self.penalty(x)
            variables = self.trainable_variables
            gradients = tape.gradient(loss, variables)
            self.optimizer.apply(gradients, variables)
            return {"loss": loss}

    return Penalized()


def critic(norm=layers.LayerNormalization):
    keras.utils.set_random_seed(1)
    return keras.Sequential(
        [keras.Input((3,)), layers.Dense(4, "tanh"), norm(), layers.Dense(1)]
    )


POINTS = np.random.default_rng(0).normal(size=(5, 3))


def penalty_differences(model, variable, h=1e-4):
    """∂penalty/∂variable by central differences of the penalty."""
    before = variable.numpy()
    result = np.zeros_like(before)
    for place in np.ndindex(before.shape):
        values = []
        for step in (h, -h, h / 2, -h / 2):
            moved = before.copy()
            moved[place] += step
            variable.assign(moved)
            values.append(model.penalty(tf.constant(POINTS)).numpy())
        coarse = (values[0] - values[1]) / (2 * h)
        fine = (values[2] - values[3]) / h
        result[place] = (4 * fine - coarse) / 3
    variable.assign(before)
    return result


def step_of(model, variable, **options):
    model.compile(keras.optimizers.SGD(1.0), **options)
    before = variable.numpy()
    model.fit(POINTS, batch_size=5, shuffle=False, verbose=0)
    return before - variable.numpy()


@pytest.mark.parametrize("options", MODES, ids=str)
def test_a_gradient_penalty_in_a_custom_step_is_exact(options, float64):
    model = penalized(keras_curvature.Model, critic())
    variable = model.critic.layers[0].kernel
    truth = penalty_differences(model, variable)
    step = step_of(model, variable, **options)
    np.testing.assert_allclose(
        step, truth, rtol=0, atol=1e-7 * np.abs(truth).max()
    )


def test_a_plain_model_is_exact_inside_the_public_context(float64):
    model = penalized(keras.Model, critic())
    variable = model.critic.layers[0].kernel
    truth = penalty_differences(model, variable)
    with exact_derivatives():
        step = step_of(model, variable)
    np.testing.assert_allclose(
        step, truth, rtol=0, atol=1e-7 * np.abs(truth).max()
    )


@pytest.mark.parametrize(
    "optimizer",
    [
        LBFGS,
        SelfScaledBroyden,
        AdaHessian,
        KFAC,
        lambda: SecondOrderGradient("sgd"),
    ],
    ids=["lbfgs", "broyden", "adahessian", "kfac", "second_order_gradient"],
)
def test_an_optimizer_says_where_a_plain_model_is_wrong(optimizer):
    model = curved(layers.LayerNormalization, keras.Model)
    model.compile(optimizer(), "mse", jit_compile=False)
    with pytest.raises(
        SecondDerivativeError, match=r"layer_norm.*exact_derivatives"
    ):
        model.fit(X, Y, batch_size=len(X), verbose=0)


def test_an_optimizer_says_where_a_resized_derivative_is_wrong():
    model = curved(interpolated, keras.Model)
    model.compile(LBFGS(), "mse", jit_compile=False)
    with pytest.raises(
        SecondDerivativeError, match=r"(MaxPool|ResizeBilinear)Grad"
    ):
        model.fit(X, Y, batch_size=len(X), verbose=0)


def test_an_optimizer_says_where_a_traced_derivative_is_wrong():
    model = curved(layers.LayerNormalization, keras.Model, traced=True)
    model.compile(LBFGS(), "mse", jit_compile=False)
    with pytest.raises(SecondDerivativeError, match="layer_norm"):
        model.fit(X, Y, batch_size=len(X), verbose=0)


class Adversarial(keras.Model):
    """Trained on inputs moved along the gradient, which is held constant."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def call(self, x, training=None):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.reduce_sum(self.inner(x, training=True) ** 2)
        slope = tf.stop_gradient(tape.gradient(y, x))
        return self.inner(x + 0.1 * tf.sign(slope), training=training)


@pytest.mark.parametrize("wrap", [lambda net: net, Adversarial])
def test_no_alarm_where_no_derivative_is_differentiated(wrap):
    model = wrap(critic())
    model.compile(LBFGS(), "mse")
    model.fit(POINTS, POINTS[:, :1], batch_size=5, verbose=0)


def several_layers():
    return [
        keras.Input((4, 4, 2)),
        layers.Conv2D(3, 2, padding="same", activation="relu"),
        layers.BatchNormalization(),
        layers.MaxPooling2D(2, 1, "same"),
        layers.UpSampling2D(2, interpolation="bilinear"),
        layers.Reshape((8, 24)),
        layers.LayerNormalization(),
        layers.SimpleRNN(2, return_sequences=True),
        layers.GroupNormalization(1),
        layers.Flatten(),
        layers.Dense(3, activation="softmax"),
    ]


def trained(sequential, context, **options):
    keras.utils.set_random_seed(2)
    model = sequential(several_layers())
    model.compile("adam", "categorical_crossentropy", **options)
    # Keras traces a step twice that creates the state of its optimizer.
    model.optimizer.build(model.trainable_variables)
    rng = np.random.default_rng(0)
    images = rng.normal(size=(12, 4, 4, 2)).astype("float32")
    labels = np.eye(3, dtype="float32")[rng.integers(0, 3, 12)]
    with context():
        model.fit(images, labels, batch_size=6, epochs=2, verbose=0)
    return model.get_weights()


@pytest.mark.parametrize("options", MODES, ids=str)
def test_first_order_training_is_the_same_to_the_last_bit(options):
    plain = trained(keras.Sequential, contextlib.nullcontext, **options)
    for other in (
        trained(keras_curvature.Sequential, contextlib.nullcontext, **options),
        trained(keras.Sequential, exact_derivatives, **options),
    ):
        for a, b in zip(plain, other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_moments_in_loops_and_branches_keep_the_first_gradient_to_the_last_bit(
    float64,
):
    def normalized(x):
        mean, variance = tf.nn.moments(x, [1], keepdims=True)
        return tf.tanh((x - mean) / tf.sqrt(variance + 0.1))

    functions = [
        lambda x: tf.map_fn(lambda row: normalized(row[None])[0], x),
        lambda x: tf.cond(x[0, 0] > -9, lambda: normalized(x), lambda: x),
        tf.function(normalized),
    ]
    w = tf.Variable(POINTS)

    def gradient(function):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.sin(function(w * w)))
        return tape.gradient(loss, w)

    for function in functions:
        plain = tf.function(gradient, autograph=False)(function)
        with exact_derivatives():
            exact = tf.function(gradient, autograph=False)(function)
            again = gradient(function)
        np.testing.assert_array_equal(plain, exact)
        np.testing.assert_allclose(plain, again, rtol=1e-13)


class Numpy(layers.Layer):
    def call(self, x):
        noise = tf.numpy_function(np.sin, [x], x.dtype)
        return x * tf.reshape(noise, tf.shape(x))


class Recomputed(layers.Layer):
    def call(self, x):
        return tf.recompute_grad(lambda x: tf.sin(x))(x)


UNREPAIRED = {
    "numpy": lambda: Numpy(),
    "recompute_grad": lambda: Recomputed(),
    "projective transform": lambda: layers.Lambda(
        lambda x: tf.reshape(
            tf.raw_ops.ImageProjectiveTransformV3(
                images=tf.reshape(x, (-1, 2, 2, 1)),
                transforms=[[1.0, 0.1, 0.2, -0.1, 0.9, 0.3, 0.0, 0.0]],
                output_shape=(2, 2),
                fill_value=0.0,
                interpolation="BILINEAR",
            ),
            (-1, 4),
        )
    ),
}


@pytest.mark.parametrize("options", MODES[:2], ids=str)
@pytest.mark.parametrize("name", UNREPAIRED)
def test_what_is_refused_trains_by_first_order(name, options):
    model = keras_curvature.Sequential(
        [
            keras.Input((3,)),
            layers.Dense(4),
            UNREPAIRED[name](),
            layers.Dense(1),
        ]
    )
    model.compile("adam", "mse", jit_compile=False, **options)
    x = POINTS.astype("float32")
    losses = model.fit(x, x[:, :1], epochs=3, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("options", MODES[:2], ids=str)
def test_it_is_refused_where_it_is_differentiated_twice(options):
    net = critic(UNREPAIRED["projective transform"])
    model = penalized(keras_curvature.Model, net)
    with pytest.raises(SecondDerivativeError, match="ProjectiveTransform"):
        step_of(model, net.layers[0].kernel, jit_compile=False, **options)


def test_the_ctc_loss_trains_by_first_order():
    model = keras_curvature.Sequential(
        [keras.Input((6, 3)), layers.Dense(5, "tanh"), layers.Dense(4)]
    )
    model.compile("adam", keras.losses.CTC(), jit_compile=False)
    x = np.random.default_rng(0).normal(size=(3, 6, 3))
    y = np.array([[1, 2], [2, 3], [1, 1]])
    losses = model.fit(x, y, epochs=3, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


def test_the_ctc_loss_is_refused_where_it_is_differentiated_twice():
    logits = tf.Variable(np.random.default_rng(0).normal(size=(1, 6, 4)))
    with exact_derivatives(), tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            loss = keras.losses.CTC()(np.array([[1, 2]]), logits)
        slope = inner.gradient(loss, logits)
    with pytest.raises(SecondDerivativeError, match="CTC"):
        outer.gradient(slope, logits)
