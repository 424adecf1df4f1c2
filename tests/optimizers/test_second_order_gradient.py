"""The direction a·g + c·H·g and what becomes of it."""

import gc

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.testing import assert_allclose, assert_array_equal

import keras_curvature
from keras_curvature.autodiff import CurvatureTape
from keras_curvature.optimizers import SecondOrderGradient
from tests.optimizers.helpers import (
    Quadratic,
    RecordedQuadratic,
    X,
    Y,
    fit,
    fit_quadratic,
    network,
    second_order_adam,
    weights,
    weights_after,
)
from tests.oracles import dense_hessian, flat

A = np.array([[3.0, 1.0, 0.0], [1.0, 2.0, -1.0], [0.0, -1.0, -1.0]])
B = np.array([1.0, -2.0, 0.5])
START = np.array([1.0, -1.0, 2.0])
WAYS = {
    "graph": (Quadratic, {}),
    "graph, jit": (Quadratic, {"jit_compile": True}),
    "tapes": (RecordedQuadratic, {}),
    "tapes, jit": (RecordedQuadratic, {"jit_compile": True}),
    "tapes, eager": (RecordedQuadratic, {"run_eagerly": True}),
}


@pytest.fixture(params=WAYS)
def quadratic_after(request, float64):
    """w after some steps of an optimizer on ½ wᵀAw − bᵀw."""
    model_class, options = WAYS[request.param]

    def run(optimizer, steps=1):
        model = model_class(A, B, START)
        return fit_quadratic(model, optimizer, steps, **options)

    return run


def by_hand(steps, rate, direction):
    w, held = START, None
    for step in range(steps):
        g = A @ w - B
        d, held = direction(step, g, held)
        w = w - rate * d
    return w


def test_direction_is_a_g_plus_c_hg(quadratic_after):
    optimizer = SecondOrderGradient(
        keras.optimizers.SGD(0.125), gradient_weight=0.5, curvature_weight=0.25
    )
    expected = by_hand(
        3, 0.125, lambda step, g, held: (0.5 * g + 0.25 * A @ g, None)
    )
    assert_allclose(quadratic_after(optimizer, 3), expected, rtol=1e-13)


def test_weights_zero_and_one_replace_the_gradient_by_hg(quadratic_after):
    optimizer = SecondOrderGradient(
        keras.optimizers.SGD(0.125), gradient_weight=0, curvature_weight=1
    )
    expected = by_hand(3, 0.125, lambda step, g, held: (A @ g, None))
    assert_allclose(quadratic_after(optimizer, 3), expected, rtol=1e-13)


def test_zero_and_one_is_drawn_to_the_saddle_point(float64):
    # A is indefinite: descent on ½‖∇L‖² ends where Aw = b nevertheless.
    optimizer = SecondOrderGradient(
        keras.optimizers.SGD(0.125), gradient_weight=0, curvature_weight=1
    )
    w = fit_quadratic(Quadratic(A, B, START), optimizer, 400)
    assert_allclose(w, np.linalg.solve(A, B), atol=1e-9)


def test_normalize_divides_by_the_norm_of_the_gradient(quadratic_after):
    optimizer = SecondOrderGradient(
        keras.optimizers.SGD(0.125), curvature_weight=0.25, normalize=True
    )
    expected = by_hand(
        3,
        0.125,
        lambda step, g, held: (
            g + 0.25 * A @ g / np.linalg.norm(g),
            None,
        ),
    )
    assert_allclose(quadratic_after(optimizer, 3), expected, rtol=1e-13)


def test_products_are_held_between_updates(quadratic_after):
    def direction(step, g, held):
        held = A @ g if step % 3 == 0 else held
        return g + 0.25 * held, held

    optimizer = SecondOrderGradient(
        keras.optimizers.SGD(0.125), curvature_weight=0.25, update_period=3
    )
    expected = by_hand(5, 0.125, direction)
    assert_allclose(quadratic_after(optimizer, 5), expected, rtol=1e-13)


def test_held_products_are_divided_by_the_norm_of_this_step(quadratic_after):
    def direction(step, g, held):
        held = A @ g if step % 2 == 0 else held
        return g + 0.25 * held / np.linalg.norm(g), held

    optimizer = SecondOrderGradient(
        keras.optimizers.SGD(0.125),
        curvature_weight=0.25,
        normalize=True,
        update_period=2,
    )
    expected = by_hand(4, 0.125, direction)
    assert_allclose(quadratic_after(optimizer, 4), expected, rtol=1e-13)


def test_nothing_moves_where_the_gradient_is_zero(float64):
    minimum = np.linalg.solve(A, B)
    exact = Quadratic(A, A @ minimum, minimum)
    for normalize in (False, True):
        optimizer = SecondOrderGradient("sgd", normalize=normalize)
        # ‖g‖ = 0 up to rounding: 0/0 must not become a NaN or a leap.
        w = fit_quadratic(exact, optimizer)
        assert_allclose(w, minimum, atol=1e-2)
        assert optimizer.skipped_steps == 0


def test_at_a_gradient_of_exact_zero_normalize_adds_nothing(float64):
    start = np.zeros(3)
    optimizer = SecondOrderGradient("sgd", normalize=True)
    w = fit_quadratic(Quadratic(A, start, start), optimizer)
    assert_array_equal(w, start)
    assert optimizer.iterations == 1


def test_step_on_a_network_is_that_of_the_dense_hessian(float64):
    model = network()

    def loss():
        return tf.reduce_mean((model(X) - Y) ** 2)

    with tf.GradientTape() as tape:
        value = loss()
    g = flat(tape.gradient(value, [v.value for v in model.weights]))
    hessian = dense_hessian(loss, model.weights)
    expected = weights(model) - 0.5 * (g + 0.25 * hessian @ g)
    model.compile(
        SecondOrderGradient(keras.optimizers.SGD(0.5), curvature_weight=0.25),
        "mse",
    )
    fit(model, batch_size=24)
    assert_allclose(weights(model), expected, rtol=1e-12, atol=1e-14)


INNER = {
    "sgd": lambda: keras.optimizers.SGD(0.1, momentum=0.9),
    "rmsprop": lambda: keras.optimizers.RMSprop(0.01),
    "adam": lambda: keras.optimizers.Adam(0.05),
}
ROUNDING = 1e-13


@pytest.mark.parametrize(
    "inner, update_period, normalize",
    [
        ("sgd", 1, False),
        ("sgd", 3, True),
        ("rmsprop", 1, True),
        ("rmsprop", 3, False),
        ("adam", 1, False),
        ("adam", 3, True),
    ],
)
def test_graph_and_tapes_train_alike(inner, update_period, normalize, float64):
    def train(model_class, **options):
        optimizer = SecondOrderGradient(
            INNER[inner](), normalize=normalize, update_period=update_period
        )
        return weights_after(optimizer, model_class, epochs=5, **options)

    graph = train(keras.Sequential)
    assert np.abs(graph - weights(network())).max() > 0.1
    tapes = train(keras_curvature.Sequential)
    eager = train(keras_curvature.Sequential, run_eagerly=True)
    assert_allclose(tapes, graph, atol=ROUNDING)
    assert_allclose(eager, graph, atol=ROUNDING)


@pytest.mark.parametrize(
    "model_class, update_period",
    [(keras.Sequential, 3), (keras_curvature.Sequential, 1)],
)
def test_jit_trains_alike(model_class, update_period, float64):
    def train(jit):
        optimizer = SecondOrderGradient(
            INNER["adam"](), update_period=update_period
        )
        return weights_after(optimizer, model_class, 5, jit_compile=jit)

    assert_allclose(train(jit=True), train(jit=False), atol=ROUNDING)


class Written(keras.Model):
    """A subclassed model with a train_step of its own."""

    def __init__(self):
        super().__init__()
        self.network = network()

    def call(self, x):
        return self.network(x)

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((self(x, training=True) - y) ** 2)
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(
            zip(gradients, self.trainable_variables, strict=True)
        )
        return {"loss": loss}


class RecordedWritten(Written, keras_curvature.Model):
    """The same under nested tapes."""


@pytest.mark.parametrize("model_class", [Written, RecordedWritten])
def test_a_train_step_of_ones_own_trains_alike(model_class, float64):
    model = model_class()
    model.compile(SecondOrderGradient("adam"))
    fit(model, 2)
    expected = second_order_adam()
    assert_allclose(weights(model), expected, atol=ROUNDING)


@pytest.mark.parametrize("way", ["graph", "tape", "eager tape"])
def test_a_loop_of_ones_own_trains_alike(way, float64):
    model, optimizer = network(), SecondOrderGradient("adam", update_period=3)
    variables = model.trainable_variables

    def plain_step(x, y):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((model(x, training=True) - y) ** 2)
        optimizer.apply(tape.gradient(loss, variables), variables)

    def recorded_step(x, y):
        with CurvatureTape():
            plain_step(x, y)

    step = plain_step if way == "graph" else recorded_step
    step = step if way == "eager tape" else tf.function(step)
    for start in [*range(0, 24, 6)] * 2:
        batch = slice(start, start + 6)
        step(tf.constant(X[batch]), tf.constant(Y[batch]))
    expected = second_order_adam(update_period=3)
    assert_allclose(weights(model), expected, atol=ROUNDING)


def test_steps_in_a_while_loop_on_the_device_train_alike(float64):
    model, optimizer = network(), SecondOrderGradient("adam")
    variables = model.trainable_variables
    optimizer.build(variables)

    @tf.function
    def train(x, y):
        for i in tf.range(8):
            start = 6 * (i % 4)
            with tf.GradientTape() as tape:
                error = model(x[start : start + 6]) - y[start : start + 6]
                loss = tf.reduce_mean(error**2)
            optimizer.apply(tape.gradient(loss, variables), variables)

    train(tf.constant(X), tf.constant(Y))
    expected = second_order_adam()
    assert_allclose(weights(model), expected, atol=ROUNDING)


def test_gradients_may_come_from_a_function_of_their_own(float64):
    model, optimizer = network(), SecondOrderGradient("adam")
    variables = model.trainable_variables

    @tf.function
    def gradients_of(x, y):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((model(x) - y) ** 2)
        return tape.gradient(loss, variables)

    @tf.function
    def step(x, y):
        optimizer.apply(gradients_of(x, y), variables)

    for start in [*range(0, 24, 6)] * 2:
        batch = slice(start, start + 6)
        step(tf.constant(X[batch]), tf.constant(Y[batch]))
    expected = second_order_adam()
    assert_allclose(weights(model), expected, atol=ROUNDING)


def test_embedding_rows_seen_twice_and_not_at_all(float64):
    # L = mean over the batch of (Σ rows)²: H is known by hand.
    model = keras.Sequential(
        [
            keras.Input((3,), dtype="int32"),
            keras.layers.Embedding(4, 1, embeddings_initializer="ones"),
            keras.layers.GlobalAveragePooling1D(),
        ]
    )
    x, y = np.array([[2, 0, 2], [1, 2, 0]]), np.zeros((2, 1))
    counts = np.array([[1, 0, 2, 0], [1, 1, 1, 0]]) / 3
    hessian = 2 / 2 * counts.T @ counts
    w = np.ones(4)
    g = hessian @ w
    model.compile(
        SecondOrderGradient(keras.optimizers.SGD(0.5), curvature_weight=0.25),
        "mse",
    )
    fit(model, x=x, y=y)
    assert_allclose(weights(model), w - 0.5 * (g + 0.25 * hessian @ g))


def test_frozen_and_unused_variables_stay(float64):
    class Partly(keras.Model):
        def __init__(self):
            super().__init__()
            self.used, self.idle = network(), keras.layers.Dense(2)
            self.idle.build((None, 3))

        def call(self, x):
            return self.used(x)

    model = Partly()
    model.used.layers[0].trainable = False
    before = [w.copy() for w in model.get_weights()]
    # Period 2: the unused variables must not meet the held products either.
    model.compile(SecondOrderGradient("adam", update_period=2), "mse")
    with pytest.warns(UserWarning, match="Gradients do not exist.*kernel"):
        fit(model)
    moved = [
        not np.array_equal(old, new)
        for old, new in zip(before, model.get_weights(), strict=True)
    ]
    assert moved == [False, False, True, True, False, False]


@pytest.mark.parametrize(
    "model_class, options",
    [
        (keras.Sequential, {}),
        (keras.Sequential, {"jit_compile": True}),
        (keras_curvature.Sequential, {"run_eagerly": True}),
    ],
    ids=["graph", "jit", "eager tapes"],
)
def test_a_step_that_is_not_finite_leaves_everything_as_it_was(
    model_class, options
):
    class Snapshots(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.states = []

        def on_train_batch_end(self, batch, logs=None):
            optimizer = self.model.optimizer
            variables = self.model.variables + [
                v for v in optimizer.variables if "skipped" not in v.path
            ]
            self.states.append([v.numpy() for v in variables])

    x = np.array(X, "float32")
    x[13] = np.nan  # the third of four batches
    optimizer = SecondOrderGradient("adam", update_period=2)
    model = network(model_class)
    model.compile(optimizer, "mse", **options)
    snapshots = Snapshots()
    with pytest.warns(UserWarning, match=r"1 steps were skipped.*3 were taken"):
        fit(model, x=x, callbacks=[snapshots])
    for before, after in zip(*snapshots.states[1:3], strict=True):
        assert_array_equal(before, after)
    assert optimizer.skipped_steps == 1
    assert optimizer.iterations == 3
    assert np.isfinite(weights(model)).all()


def test_a_hessian_product_that_overflows_is_skipped_too():
    # g = 4 w³ is finite where H·g = 12 w² · 4 w³ is not.
    w = keras.Variable(1e11)
    optimizer = SecondOrderGradient("sgd")

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = (w.value**2) ** 2 * 1e-20
        gradients = tape.gradient(loss, [w.value])
        optimizer.apply([gradients[0] * 1e10], [w])

    step()
    assert optimizer.skipped_steps == 1
    assert w == 1e11


def test_a_run_without_skipped_steps_says_nothing(recwarn):
    weights_after(SecondOrderGradient("sgd"), epochs=1)
    assert not [w for w in recwarn if "skipped" in str(w.message)]
    assert SecondOrderGradient("sgd").skipped_steps == 0


@pytest.mark.parametrize("period", [1, 3])
def test_training_is_traced_once(period):
    traces = []

    class Counting(keras.Model):
        def __init__(self):
            super().__init__()
            self.network = network()

        def call(self, x):
            return self.network(x)

        def train_step(self, data):
            traces.append(1)
            return super().train_step(data)

    model = Counting()
    model.compile(SecondOrderGradient("adam", update_period=period), "mse")
    fit(model)
    first = len(traces)
    fit(model, 3)
    assert first <= 2
    assert len(traces) == first


@pytest.mark.parametrize("eager", [False, True])
def test_memory_stays_flat(eager):
    model_class = keras_curvature.Sequential if eager else keras.Sequential
    model = network(model_class)
    model.compile(
        SecondOrderGradient("adam", update_period=2),
        "mse",
        run_eagerly=eager,
    )

    def objects_after(epochs):
        # A run of fit may leave its history behind: each count follows one.
        fit(model, epochs)
        gc.collect()
        return len(gc.get_objects())

    objects_after(1)
    gc.freeze()
    try:
        few = objects_after(1)
        many = objects_after(10)
    finally:
        gc.unfreeze()
    # 36 more steps that kept one object each would show.
    assert many - few < 36


def test_run_eagerly_on_a_plain_model_names_the_way_out():
    with pytest.raises(RuntimeError, match=r"keras_curvature\.Model"):
        weights_after(SecondOrderGradient("sgd"), run_eagerly=True)


def test_a_loss_without_curvature_is_refused():
    model = network()
    model.layers[0].trainable = False
    model.compile(
        SecondOrderGradient("sgd"), lambda y, outputs: tf.reduce_sum(outputs)
    )
    with pytest.raises(ValueError, match="loss is linear in all of them"):
        fit(model)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"gradient_weight": -1}, "`gradient_weight` must be .* ≥ 0"),
        (
            {"gradient_weight": None},
            "`gradient_weight` .* Received: gradient_weight=None",
        ),
        ({"curvature_weight": -0.1}, "`curvature_weight` must be .* ≥ 0"),
        ({"curvature_weight": float("nan")}, "`curvature_weight` .*nan"),
        ({"curvature_weight": float("inf")}, "`curvature_weight` .*inf"),
        ({"curvature_weight": "0.1"}, "`curvature_weight` .*'0.1'"),
        ({"curvature_weight": True}, "`curvature_weight` .*True"),
        ({"gradient_weight": 0, "curvature_weight": 0}, "must not both be 0"),
        ({"normalize": "no"}, "`normalize` must be a bool.*'no'"),
        ({"update_period": 0}, "`update_period` must be an integer ≥ 1"),
        ({"update_period": 2.5}, r"`update_period` .*2\.5"),
        ({"update_period": True}, "`update_period` .*True"),
        ({"optimizer": "newton"}, "newton"),
        ({"optimizer": None}, "None"),
    ],
)
def test_arguments_that_break_their_rule_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        SecondOrderGradient(**arguments)


def test_an_inner_optimizer_that_uses_curvature_is_refused():
    with pytest.raises(ValueError, match="must be a first-order Keras"):
        SecondOrderGradient(SecondOrderGradient("sgd"))


def test_gradients_and_variables_must_match():
    v = keras.Variable(1.0)
    with pytest.raises(ValueError, match="2 gradients for 1 variables"):
        SecondOrderGradient("sgd").apply([tf.ones(())] * 2, [v])
    with pytest.raises(ValueError, match=r"call `build\(variables\)` first"):
        SecondOrderGradient("sgd").apply([tf.ones(())])
    with pytest.raises(ValueError, match="No gradients provided"):
        SecondOrderGradient("sgd").apply([None], [v])
    SecondOrderGradient("sgd").apply([], [])  # as Keras, does nothing


@pytest.mark.parametrize("update_period", [1, 3])
def test_a_variable_it_was_not_built_with_is_refused(update_period):
    optimizer = SecondOrderGradient("sgd", update_period=update_period)
    optimizer.build([keras.Variable(1.0)])
    other = tf.Variable(1.0)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = other**2
        optimizer.apply(tape.gradient(loss, [other]), [other])

    with pytest.raises(ValueError, match="Unknown variable"):
        step()
