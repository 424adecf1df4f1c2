"""Hessian products of unmodified Keras models, from the graph of `fit`."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.testing import assert_allclose

from keras_curvature.autodiff import GradientGraph, SecondDerivativeError
from tests.oracles import dense_hessian, flat, random_like

L = keras.layers


class Recorder(keras.optimizers.SGD):
    """SGD that stands still and keeps g and H·v of its last step."""

    def __init__(self, **options):
        super().__init__(learning_rate=0.0, **options)

    def build(self, variables):
        super().build(variables)
        self.vectors = random_like(variables)
        with tf.init_scope():
            self.products = [tf.Variable(v) for v in self.vectors]
            self.gradients = [tf.Variable(v) for v in self.vectors]

    def apply(self, grads, trainable_variables=None):
        variables = list(trainable_variables)
        if not self.built:
            self.build(variables)
        curvature = GradientGraph(grads, variables)
        products = curvature.hessian_vector_product(self.vectors)
        for target, product in zip(self.products, products, strict=True):
            target.assign(product)
        for target, gradient in zip(self.gradients, grads, strict=True):
            target.assign(gradient)
        super().apply(grads, variables)


def fit_once(model, x, y, optimizer=None, loss="mse", jit=False, **options):
    optimizer = optimizer or Recorder()
    weights = options.pop("loss_weights", None)
    model.compile(optimizer, loss, loss_weights=weights, jit_compile=jit)
    model.fit(
        x, y, batch_size=1000, epochs=1, shuffle=False, verbose=0, **options
    )
    return getattr(optimizer, "inner_optimizer", optimizer)


def check(model, x, y, loss_fn=None, scale=1, tolerance=1e-12, **options):
    """Compares H·v of one step of `fit` with that of the dense Hessian."""
    recorder = fit_once(model, x, y, **options)

    def loss():
        if loss_fn is not None:
            return loss_fn()
        outputs = model(x, training=True)
        return tf.reduce_mean((outputs - y) ** 2) + sum(model.losses)

    variables = model.trainable_variables
    expected = scale * dense_hessian(loss, variables) @ flat(recorder.vectors)
    size = np.abs(expected).max()
    assert size > 1e-6
    assert_allclose(
        flat(recorder.products), expected, atol=tolerance * max(size, 1)
    )


LAYERS = {
    "Dense": ((4,), lambda: [L.Dense(3, activation="tanh"), L.Dense(2)]),
    "Conv1D": ((6, 3), lambda: [L.Conv1D(3, 2, activation="gelu")]),
    "Conv2D": (
        (5, 5, 2),
        lambda: [L.Conv2D(2, 3, activation="silu"), L.AveragePooling2D(2)],
    ),
    "grouped Conv1D": (
        (6, 4),
        lambda: [L.Conv1D(4, 2, groups=2, activation="tanh")],
    ),
    "DepthwiseConv2D": (
        (4, 4, 2),
        lambda: [L.DepthwiseConv2D(2, activation="softplus")],
    ),
    "MaxPooling": (
        (6, 2),
        lambda: [L.Conv1D(2, 2, activation="elu"), L.MaxPooling1D(2)],
    ),
    "frozen BatchNormalization": (
        (4,),
        lambda: [
            L.Dense(3),
            L.BatchNormalization(trainable=False),
            L.Dense(2, activation="sigmoid"),
        ],
    ),
    "RMSNormalization": (
        (4,),
        lambda: [L.Dense(3), L.RMSNormalization(), L.Dense(2)],
    ),
    "LSTM": ((4, 3), lambda: [L.LSTM(2)]),
    "GRU": ((4, 3), lambda: [L.GRU(2)]),
    "regularizers": (
        (4,),
        lambda: [
            L.Dense(2, kernel_regularizer="l2", activation="tanh"),
            L.Dense(2, activity_regularizer=keras.regularizers.L2(0.3)),
        ],
    ),
}


@pytest.mark.parametrize("layer", LAYERS)
def test_sequential_model(layer, float64, rng):
    shape, layers = LAYERS[layer]
    model = keras.Sequential([keras.Input(shape), *layers()])
    x = tf.constant(rng.normal(size=(3, *shape)))
    y = tf.constant(rng.normal(size=model(x).shape))
    check(model, x, y)


@pytest.mark.parametrize("layer", ["Dense", "Conv2D", "regularizers"])
def test_sequential_model_compiled_by_xla(layer, float64, rng):
    shape, layers = LAYERS[layer]
    model = keras.Sequential([keras.Input(shape), *layers()])
    x = tf.constant(rng.normal(size=(3, *shape)))
    y = tf.constant(rng.normal(size=model(x).shape))
    check(model, x, y, jit=True)


def test_embedding_with_repeated_indices(float64, rng):
    model = keras.Sequential(
        [
            keras.Input((4,), dtype="int32"),
            L.Embedding(5, 3),
            L.Flatten(),
            L.Dense(2, activation="tanh"),
        ]
    )
    x = tf.constant([[0, 2, 2, 1], [2, 4, 2, 0]])
    check(model, x, tf.constant(rng.normal(size=(2, 2))))


def test_attention_in_a_functional_model(float64, rng):
    inputs = keras.Input((3, 4))
    attended = L.MultiHeadAttention(2, 2)(inputs, inputs)
    outputs = L.Dense(2, activation="gelu")(L.Add()([inputs, attended]))
    x = tf.constant(rng.normal(size=(2, 3, 4)))
    y = tf.constant(rng.normal(size=(2, 3, 2)))
    check(keras.Model(inputs, outputs), x, y)


def test_subclassed_model_that_calls_a_function_and_branches(float64, rng):
    class Branching(keras.Model):
        def __init__(self):
            super().__init__()
            self.first, self.second = L.Dense(3), L.Dense(2)
            self.first.build((None, 4))

        @tf.function
        def bend(self, x):
            return tf.sin(self.first(x))

        def call(self, x):
            h = self.bend(x)
            h = tf.cond(tf.reduce_sum(x) > 0, lambda: h**2, lambda: h**3)
            return self.second(h)

    x = tf.constant(rng.normal(size=(5, 4)))
    check(Branching(), x, tf.constant(rng.normal(size=(5, 2))))


def test_model_with_a_while_loop_over_its_weights(float64, rng):
    class Iterated(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = L.Dense(4)

        def call(self, x):
            def body(i, h):
                return i + 1, tf.tanh(self.dense(h))

            return tf.while_loop(lambda i, h: i < 3, body, (0, x))[1]

    x = tf.constant(rng.normal(size=(5, 4)))
    model = Iterated()
    model(x)
    check(model, x, tf.constant(rng.normal(size=(5, 4))))


def test_dropout_has_the_mask_of_the_very_step(float64, rng):
    # With x = I the loss is Σ(d∘w)²/n: g = 2 d²∘w / n tells the mask d that
    # was drawn, and H·v = 2 d²∘v / n.
    model = keras.Sequential(
        [keras.Input((8,)), L.Dense(1, use_bias=False), L.Dropout(0.5)]
    )
    x = tf.eye(8, dtype="float64")
    recorder = fit_once(model, x, tf.zeros((8, 1)))
    w = model.layers[0].kernel.numpy()
    gradient = recorder.gradients[0].numpy()
    assert 0 < np.count_nonzero(gradient) < 8
    assert_allclose(
        recorder.products[0], gradient / w * recorder.vectors[0], rtol=1e-12
    )


def small(rng, units=2):
    model = keras.Sequential(
        [keras.Input((4,)), L.Dense(3, activation="tanh"), L.Dense(units)]
    )
    x = tf.constant(rng.normal(size=(6, 4)))
    return model, x, tf.constant(rng.normal(size=(6, units)))


def test_sample_weight(float64, rng):
    model, x, y = small(rng)
    weight = rng.uniform(size=6)

    def loss():
        return tf.reduce_mean(weight * tf.reduce_mean((model(x) - y) ** 2, 1))

    check(model, x, y, loss, sample_weight=weight)


def test_class_weight(float64, rng):
    model, x, _ = small(rng, units=3)
    y, weights = np.array([0, 2, 1, 1, 0, 2]), {0: 1.0, 1: 3.0, 2: 0.5}
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(
        from_logits=True, reduction="none"
    )

    def loss():
        factor = tf.constant([weights[c] for c in y], "float64")
        return tf.reduce_mean(factor * cross_entropy(y, model(x)))

    keras_loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    check(model, x, y, loss, loss=keras_loss, class_weight=weights)


def test_several_outputs_with_losses_of_their_own(float64, rng):
    inputs = keras.Input((4,))
    hidden = L.Dense(3, activation="tanh")(inputs)
    model = keras.Model(
        inputs,
        {
            "a": L.Dense(1, name="a")(hidden),
            "b": L.Dense(1, activation="sigmoid", name="b")(hidden),
        },
    )
    x = tf.constant(rng.normal(size=(6, 4)))
    y = {"a": rng.normal(size=(6, 1)), "b": np.ones((6, 1))}

    def loss():
        out = model(x)
        cross_entropy = keras.losses.binary_crossentropy(y["b"], out["b"])
        return 0.5 * tf.reduce_mean((out["a"] - y["a"]) ** 2) + (
            2.0 * tf.reduce_mean(cross_entropy)
        )

    check(
        model,
        x,
        y,
        loss,
        loss={"a": "mse", "b": "binary_crossentropy"},
        loss_weights={"a": 0.5, "b": 2.0},
    )


def test_loss_scale_optimizer_hands_on_the_unscaled_hessian(float64, rng):
    # Its `apply` runs in a branch of tf.cond, on gradients divided by the
    # scale: they are captured from the enclosing graph.
    check(
        *small(rng),
        optimizer=keras.optimizers.LossScaleOptimizer(Recorder()),
    )


def test_loss_scale_factor_scales_the_hessian_as_it_scales_the_gradient(
    float64, rng
):
    optimizer = Recorder(loss_scale_factor=1024.0)
    check(*small(rng), optimizer=optimizer, scale=1024.0)


def test_frozen_weights_are_left_out(float64, rng):
    model, x, y = small(rng)
    model.layers[0].trainable = False
    check(model, x, y)


def cube_gradients(w):
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(w**3)
    return tape.gradient(loss, [w])


@pytest.mark.parametrize("jit", [False, True])
def test_product_in_a_branch_of_gradients_from_outside(jit):
    w = tf.Variable([1.0, 2.0])

    @tf.function(jit_compile=jit)
    def product(due):
        curvature = GradientGraph(cube_gradients(w), [w])
        return tf.cond(
            due,
            lambda: curvature.hessian_vector_product([[1.0, 10.0]]),
            lambda: [tf.zeros(2)],
        )

    assert_allclose(product(tf.constant(True))[0], [6, 120])
    assert_allclose(product(tf.constant(False))[0], [0, 0])


@pytest.mark.parametrize("jit", [False, True])
def test_products_in_the_body_of_a_loop(jit):
    w = tf.Variable([1.0, 2.0])

    @tf.function(jit_compile=jit)
    def power(times):
        curvature = GradientGraph(cube_gradients(w), [w])
        return tf.while_loop(
            lambda i, v: i < times,
            lambda i, v: (i + 1, curvature.hessian_vector_product([v])[0]),
            (0, tf.ones(2)),
        )[1]

    assert_allclose(power(tf.constant(3)), [6**3, 12**3])


def test_product_two_branches_deep_of_gradients_changed_on_the_way():
    w = tf.Variable([1.0, 2.0])

    @tf.function
    def product():
        (gradient,) = cube_gradients(w)

        def outer():
            halved = gradient / 2

            def inner():
                curvature = GradientGraph([halved + 0 * gradient], [w])
                return curvature.hessian_vector_product([[1.0, 10.0]])

            return tf.cond(tf.reduce_sum(w) > 0, inner, lambda: [tf.zeros(2)])

        return tf.cond(tf.reduce_sum(w) > 1, outer, lambda: [tf.zeros(2)])

    assert_allclose(product()[0], [3, 60])


def test_gradients_of_a_function_that_the_graph_calls():
    w = tf.Variable([1.0, 2.0])
    inner = tf.function(lambda: cube_gradients(w))

    @tf.function
    def product():
        return GradientGraph(inner(), [w]).hessian_vector_product([[1.0, 10.0]])

    assert_allclose(product()[0], [6, 120])


def test_a_row_of_zeros_where_the_loss_is_linear_in_one_variable():
    u, w = tf.Variable(2.0), tf.Variable(3.0)

    @tf.function
    def product():
        with tf.GradientTape() as tape:
            loss = u**3 + w
        gradients = tape.gradient(loss, [u, w])
        return GradientGraph(gradients, [u, w]).hessian_vector_product([1, 1])

    assert_allclose(product(), [12, 0])


def test_a_variable_without_gradient_has_no_product():
    u, w = tf.Variable(2.0), tf.Variable(3.0)

    @tf.function
    def product():
        (gradient,) = cube_gradients(u)
        products = GradientGraph([gradient, None], [u, w])
        products = products.hessian_vector_product([1.0, 1.0])
        assert products[1] is None
        return products[0]

    assert_allclose(product(), 12)


@pytest.mark.parametrize(
    "loss",
    [
        pytest.param(lambda w: 3.0 * w, id="linear"),
        pytest.param(lambda w: w * tf.stop_gradient(w), id="stopped"),
    ],
)
def test_gradients_without_a_derivative_are_refused(loss):
    w = tf.Variable(2.0, name="weight")

    @tf.function
    def product():
        with tf.GradientTape() as tape:
            value = loss(w)
        gradients = tape.gradient(value, [w])
        return GradientGraph(gradients, [w]).hessian_vector_product([1.0])

    with pytest.raises(ValueError, match=r"do not depend on any.*weight"):
        product()


def test_an_operation_without_a_derivative_is_named():
    w = tf.Variable(2.0, name="weight")

    @tf.function
    def product():
        with tf.GradientTape() as tape:
            value = w * tf.numpy_function(np.sin, [w], tf.float32)
        gradients = tape.gradient(value, [w])
        return GradientGraph(gradients, [w]).hessian_vector_product([1.0])

    with pytest.raises(SecondDerivativeError, match=r"numpy_function"):
        product()


def test_gradients_that_an_eager_caller_passed_in_are_refused():
    # A placeholder has no history: a silent zero curvature otherwise.
    w = tf.Variable([1.0, 2.0])

    @tf.function
    def product(gradient):
        curvature = GradientGraph([gradient], [w])
        return curvature.hessian_vector_product([[1.0, 1.0]])

    with pytest.raises(ValueError, match="in another function"):
        product(cube_gradients(w)[0])


def test_vectors_of_another_shape_are_refused():
    w = tf.Variable([1.0, 2.0], name="w")

    @tf.function
    def product():
        return GradientGraph(cube_gradients(w), [w]).hessian_vector_product(
            [tf.ones(3)]
        )

    with pytest.raises(ValueError, match=r"\(3,\) for variable w"):
        product()
