"""A step for every loss against the dense Gauss-Newton matrix."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_curvature
from keras_curvature.optimizers import LevenbergMarquardt
from tests.optimizers.least_squares.helpers import fit, flat_weights, network


def gauss_newton_by_tapes(model, x, loss_of_outputs):
    """`(gradient, JᵀH_L J)` of a batch from dense nested tapes."""
    variables = [v.value for v in model.trainable_variables]
    with tf.GradientTape(persistent=True) as tape:
        outputs = model(x)
    jacobian = np.concatenate(
        [
            np.reshape(j, (tf.size(outputs).numpy(), -1))
            # To vectorize so few rows takes longer than to compute them.
            for j in tape.jacobian(
                outputs, variables, experimental_use_pfor=False
            )
        ],
        axis=1,
    )
    outputs = tf.constant(outputs)
    with tf.GradientTape(persistent=True) as outer:
        outer.watch(outputs)
        with tf.GradientTape() as inner:
            inner.watch(outputs)
            loss = loss_of_outputs(outputs)
        gradient = inner.gradient(loss, outputs)
    hessian = outer.jacobian(gradient, outputs, experimental_use_pfor=False)
    size = len(jacobian)
    hessian = np.reshape(hessian, (size, size))
    return jacobian.T @ np.ravel(gradient), jacobian.T @ hessian @ jacobian


# Made in each test: a loss keeps the float type of the moment it was made.
LOSSES = {
    "mse": (keras.losses.MeanSquaredError, {}, 3, "real"),
    "huber": (keras.losses.Huber, {"delta": 10.0}, 3, "real"),
    "binary": (
        keras.losses.BinaryCrossentropy,
        {"from_logits": True},
        2,
        "bits",
    ),
    "categorical": (
        keras.losses.CategoricalCrossentropy,
        {"from_logits": True},
        3,
        "one_hot",
    ),
    "sparse": (
        keras.losses.SparseCategoricalCrossentropy,
        {"from_logits": True},
        3,
        "classes",
    ),
}


def step_and_expectation(
    model, loss, x, y, gradient, matrix, *weight, solver="cholesky", **options
):
    """One step, and −(matrix + λI)⁻¹·gradient with the λ it took."""
    optimizer = LevenbergMarquardt(
        solver,
        scaling="identity",
        geodesic_acceleration=False,
        initial_trust_radius=0.01,
    )
    model.compile(optimizer, loss, **options)
    before = flat_weights(model)
    logs = fit(model, x, y, 1, *weight)
    assert logs["accepted_steps"] == [1]
    damped = matrix + logs["damping"][0] * np.eye(len(before))
    return flat_weights(model) - before, -np.linalg.solve(damped, gradient)


def targets(kind, outputs, rng, count=12):
    classes = rng.integers(0, outputs, count)
    return {
        "real": rng.normal(size=(count, outputs)),
        "counts": rng.integers(0, 5, (count, outputs)).astype("float64"),
        "bits": rng.integers(0, 2, (count, outputs)).astype("float64"),
        "one_hot": np.eye(outputs)[classes],
        "classes": classes[:, None],
    }[kind]


@pytest.mark.parametrize("name", LOSSES)
def test_step_is_that_of_the_dense_gauss_newton_matrix(name, float64, rng):
    make_loss, arguments, outputs, kind = LOSSES[name]
    loss = make_loss(**arguments)
    x, y = rng.normal(size=(12, 2)), targets(kind, outputs, rng)
    weight = rng.uniform(0.5, 2, 12)
    model = network(outputs=outputs)
    start = model.get_weights()
    gradient, matrix = gauss_newton_by_tapes(
        model, x, lambda o: loss(y, o, weight)
    )
    for solver in ("cholesky", "qr", "dual"):
        model.set_weights(start)
        step, expected = step_and_expectation(
            model, loss, x, y, gradient, matrix, weight, solver=solver
        )
        np.testing.assert_allclose(step, expected, 1e-6, 1e-10, err_msg=solver)


@pytest.mark.parametrize("name", ["binary", "categorical", "sparse"])
def test_probabilities_train_as_their_logits_do(name, float64, rng):
    make_loss, arguments, outputs, kind = LOSSES[name]
    x, y = rng.normal(size=(12, 2)), targets(kind, outputs, rng)
    model = network(outputs=outputs)
    loss = make_loss(**arguments)
    gradient, matrix = gauss_newton_by_tapes(model, x, lambda o: loss(y, o))
    activation = "sigmoid" if name == "binary" else "softmax"
    probable = network(outputs=outputs, activation=activation)
    probable.set_weights(model.get_weights())
    step, expected = step_and_expectation(
        probable, make_loss(), x, y, gradient, matrix
    )
    np.testing.assert_allclose(step, expected, rtol=1e-6, atol=1e-10)


def test_poisson_rates_train_by_the_fisher_information(float64, rng):
    x, y = rng.normal(size=(12, 2)), targets("counts", 2, rng)
    model = network(outputs=2, activation="exponential")
    rate = model(x).numpy()
    loss = keras.losses.Poisson()
    gradient, _ = gauss_newton_by_tapes(model, x, lambda o: loss(y, o))
    # With H_L = diag(1/rate)/size, whose loss is ½ Σ o²/rate/size.
    _, matrix = gauss_newton_by_tapes(
        model,
        x,
        lambda o: tf.reduce_sum(o**2 / (rate + 1e-7)) / 2 / rate.size,
    )
    step, expected = step_and_expectation(model, loss, x, y, gradient, matrix)
    np.testing.assert_allclose(step, expected, rtol=1e-6, atol=1e-10)


def test_huber_bends_down_the_weight_of_outliers(float64, rng):
    x, y = rng.normal(size=(12, 2)), rng.normal(size=(12, 1))
    y[3] += 50
    model = network()
    error = np.abs(model(x).numpy() - y)
    loss = keras.losses.Huber(delta=0.5)
    gradient, _ = gauss_newton_by_tapes(model, x, lambda o: loss(y, o))
    weights = np.minimum(1, 0.5 / error) / len(y)
    _, matrix = gauss_newton_by_tapes(
        model, x, lambda o: tf.reduce_sum(weights * o**2) / 2
    )
    step, expected = step_and_expectation(model, loss, x, y, gradient, matrix)
    np.testing.assert_allclose(step, expected, rtol=1e-6, atol=1e-10)


def two_headed():
    inputs = keras.Input((2,), name="inputs")
    hidden = keras.layers.Dense(4, activation="tanh")(inputs)
    return keras_curvature.Model(
        inputs,
        {
            "value": keras.layers.Dense(2, name="value")(hidden),
            "kind": keras.layers.Dense(3, name="kind")(hidden),
        },
    )


def test_several_outputs_add_up_with_their_loss_weights(float64, rng):
    x, y = rng.normal(size=(12, 2)), rng.normal(size=(12, 2))
    kind = rng.integers(0, 3, 12)
    model = two_headed()

    class Flat:
        trainable_variables = model.trainable_variables

        def __call__(self, x):
            outputs = model(x)
            return tf.concat([outputs["value"], outputs["kind"]], axis=1)

    def loss(o):
        cross = keras.losses.sparse_categorical_crossentropy(
            kind, o[:, 2:], from_logits=True
        )
        return 0.3 * tf.reduce_mean((o[:, :2] - y) ** 2) + 2 * tf.reduce_mean(
            cross
        )

    gradient, matrix = gauss_newton_by_tapes(Flat(), x, loss)
    losses = {
        "value": "mse",
        "kind": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    }
    step, expected = step_and_expectation(
        model,
        losses,
        x,
        {"value": y, "kind": kind[:, None]},
        gradient,
        matrix,
        loss_weights={"value": 0.3, "kind": 2.0},
    )
    np.testing.assert_allclose(step, expected, rtol=1e-6, atol=1e-10)
