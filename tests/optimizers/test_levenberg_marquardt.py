"""LevenbergMarquardt against NIST, SciPy and dense matrices."""

import importlib.util
import pathlib

import keras
import numpy as np
import pytest
import scipy.optimize
import tensorflow as tf

import keras_curvature
from keras_curvature.optimizers import LevenbergMarquardt

_EXAMPLE = pathlib.Path(__file__).parents[2] / "examples" / "nist.py"


@pytest.fixture(scope="module")
def nist():
    """The module of the example, which holds the models."""
    spec = importlib.util.spec_from_file_location("nist", _EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def endless(x, y, *weight):
    """The whole data as every batch: epochs cost more than such steps."""
    return tf.data.Dataset.from_tensors((x, y, *weight)).repeat()


def fit(model, x, y, steps, *weight):
    history = model.fit(
        endless(x, y, *weight),
        steps_per_epoch=steps,
        shuffle=False,
        verbose=0,
    )
    return history.history


class Residuals(keras_curvature.Model):
    """The i-th output is the i-th residual at the weights b."""

    def __init__(self, function, start):
        super().__init__()
        self.function = function
        self.b = self.add_weight(shape=(len(start),), name="b")
        self.b.assign(start)

    def call(self, index):
        return tf.gather(tf.stack(self.function(self.b.value)), index)


def minimize_residuals(function, start, epochs=120, **options):
    model = Residuals(function, start)
    model.compile(LevenbergMarquardt(**options), "mse")
    count = len(function(tf.constant(start, "float64")))
    history = model.fit(
        np.arange(count, dtype="int32")[:, None],
        np.zeros((count, 1)),
        batch_size=count,
        epochs=epochs,
        shuffle=False,
        verbose=0,
    )
    return model, history.history


# MGH17 needs the most steps, some hundreds from its first starting point.
@pytest.mark.parametrize(
    "name",
    [
        "Chwirut1",
        "Chwirut2",
        "DanWood",
        "ENSO",
        "Gauss1",
        "Gauss2",
        "Gauss3",
        "Hahn1",
        "Kirby2",
        "Lanczos1",
        "Lanczos2",
        "Lanczos3",
        "MGH17",
        "Misra1a",
        "Misra1b",
        "Misra1c",
        "Misra1d",
        "Nelson",
        "Roszman1",
    ],
)
def test_nist_parameters_are_right_to_nine_digits_from_both_starts(
    name, nist, float64
):
    problem = nist.read_problem(name)
    model = nist.Regression(nist.MODELS[name], len(problem.certified))
    model.compile(LevenbergMarquardt(), "mse")
    model.optimizer.build(model.trainable_variables)
    fresh = [variable.numpy() for variable in model.optimizer.variables]
    for start in problem.starts:
        model.b.assign(start)
        for variable, value in zip(
            model.optimizer.variables, fresh, strict=True
        ):
            variable.assign(value)
        fit(model, problem.x, problem.y, steps=1000)
        assert nist.correct_digits(model, problem.certified) >= 9
        assert model.optimizer.stop_reason is not None


CLASSICS = {
    "rosenbrock": (
        lambda b: [10 * (b[1] - b[0] ** 2), 1 - b[0]],
        [-1.2, 1.0],
    ),
    "beale": (
        lambda b: [
            y - b[0] * (1 - b[1] ** k)
            for k, y in enumerate((1.5, 2.25, 2.625), start=1)
        ],
        [1.0, 1.0],
    ),
    "himmelblau": (
        lambda b: [b[0] ** 2 + b[1] - 11, b[0] + b[1] ** 2 - 7],
        [1.0, 1.0],
    ),
    "freudenstein_roth": (
        lambda b: [
            -13 + b[0] + ((5 - b[1]) * b[1] - 2) * b[1],
            -29 + b[0] + ((b[1] + 1) * b[1] - 14) * b[1],
        ],
        [0.5, -2.0],
    ),
    "wood": (
        lambda b: [
            10 * (b[1] - b[0] ** 2),
            1 - b[0],
            90**0.5 * (b[3] - b[2] ** 2),
            1 - b[2],
            10**0.5 * (b[1] + b[3] - 2),
            10**-0.5 * (b[1] - b[3]),
        ],
        [-3.0, -1.0, -3.0, -1.0],
    ),
}


def extended_rosenbrock(b):
    return [
        residual
        for x, y in zip(b[:-1:2], b[1::2], strict=True)
        for residual in (10 * (y - x**2), 1 - x)
    ]


@pytest.mark.parametrize("name", [*CLASSICS, "rosenbrock_in_20_dimensions"])
def test_minimum_is_scipys_after_at_most_1_3_times_its_evaluations(
    name, float64
):
    function, start = CLASSICS.get(
        name, (lambda b: extended_rosenbrock(tf.unstack(b)), [-1.2, 1.0] * 10)
    )

    def residuals(b):
        return tf.stack(function(tf.constant(b))).numpy()

    def jacobian(b):
        b = tf.constant(b)
        with tf.GradientTape() as tape:
            tape.watch(b)
            outputs = tf.stack(function(b))
        return tape.jacobian(outputs, b).numpy()

    tolerances = dict(xtol=1e-15, ftol=1e-15, gtol=1e-15)
    scipys = scipy.optimize.least_squares(
        residuals, start, jacobian, method="lm", **tolerances
    )
    model, history = minimize_residuals(function, start)
    np.testing.assert_allclose(model.b.numpy(), scipys.x, rtol=1e-7)
    assert sum(history["attempts"]) <= 1.3 * scipys.nfev
    assert model.optimizer.stop_reason in history["stop_reason"]


def network(units=4, outputs=1, **output_options):
    return keras_curvature.Sequential(
        [
            keras.Input((2,)),
            keras.layers.Dense(units, activation="tanh"),
            keras.layers.Dense(outputs, **output_options),
        ]
    )


def flat_weights(model):
    return np.concatenate([np.ravel(w) for w in model.get_weights()])


def gauss_newton_by_tapes(model, x, loss_of_outputs):
    """`(gradient, JᵀH_L J)` of a batch from dense nested tapes."""
    variables = [v.value for v in model.trainable_variables]
    with tf.GradientTape() as tape:
        outputs = model(x)
    jacobian = np.concatenate(
        [
            np.reshape(j, (tf.size(outputs).numpy(), -1))
            for j in tape.jacobian(outputs, variables)
        ],
        axis=1,
    )
    outputs = tf.constant(outputs)
    with tf.GradientTape() as outer:
        outer.watch(outputs)
        with tf.GradientTape() as inner:
            inner.watch(outputs)
            loss = loss_of_outputs(outputs)
        gradient = inner.gradient(loss, outputs)
    hessian = outer.jacobian(gradient, outputs)
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
        solver, scaling="identity", initial_trust_radius=0.01
    )
    model.compile(optimizer, loss, **options)
    before = flat_weights(model)
    logs = fit(model, x, y, 1, *weight)
    assert logs["accepted"] == [1.0]
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


@pytest.mark.parametrize("solver", ["cholesky", "qr", "dual"])
@pytest.mark.parametrize("name", LOSSES)
def test_step_is_that_of_the_dense_gauss_newton_matrix(
    name, solver, float64, rng
):
    make_loss, arguments, outputs, kind = LOSSES[name]
    loss = make_loss(**arguments)
    x, y = rng.normal(size=(12, 2)), targets(kind, outputs, rng)
    weight = rng.uniform(0.5, 2, 12)
    model = network(outputs=outputs)
    gradient, matrix = gauss_newton_by_tapes(
        model, x, lambda o: loss(y, o, weight)
    )
    step, expected = step_and_expectation(
        model, loss, x, y, gradient, matrix, weight, solver=solver
    )
    np.testing.assert_allclose(step, expected, rtol=1e-6, atol=1e-10)


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


@pytest.mark.parametrize(
    "options",
    [
        {"slice_size": 5, "linear_solver": "cholesky"},
        {"slice_size": 5, "linear_solver": "qr"},
        {"linear_solver": "qr"},
    ],
)
def test_slices_and_solvers_change_nothing(options, float64, rng):
    x, y = rng.normal(size=(40, 2)), rng.normal(size=(40, 1))
    trained = []
    for chosen in ({"linear_solver": "cholesky"}, options):
        keras.utils.set_random_seed(0)
        model = network()
        model.compile(
            LevenbergMarquardt(initial_trust_radius=1.0, **chosen), "mse"
        )
        fit(model, x, y, 2)
        trained.append(flat_weights(model))
    np.testing.assert_allclose(*trained, rtol=1e-6)


@pytest.mark.parametrize(
    "options", [{"jit_compile": True}, {"run_eagerly": True}]
)
def test_jit_and_eager_train_as_the_graph_does(options, float64, rng):
    x, y = rng.normal(size=(40, 2)), rng.normal(size=(40, 1))
    trained = []
    for chosen in ({"jit_compile": False}, options):
        keras.utils.set_random_seed(0)
        model = network()
        model.compile(
            LevenbergMarquardt("cholesky", initial_trust_radius=1.0),
            "mse",
            **chosen,
        )
        fit(model, x, y, 2)
        trained.append(flat_weights(model))
    np.testing.assert_allclose(*trained, rtol=1e-6)


def test_steps_per_execution_train_as_single_steps_do(float64, rng):
    x, y = rng.normal(size=(40, 2)), rng.normal(size=(40, 1))
    trained = []
    for steps in (1, 4):
        keras.utils.set_random_seed(0)
        model = network()
        model.compile(LevenbergMarquardt(), "mse", steps_per_execution=steps)
        fit(model, x, y, 4)
        trained.append(flat_weights(model))
    np.testing.assert_array_equal(*trained)


def test_a_loss_that_overflows_at_trial_points_is_minimised(float64):
    # exp(1000·b) is infinite after the undamped first step.
    model, _ = minimize_residuals(
        lambda b: [tf.exp(1000 * b[0]) - 2.0], [-0.01]
    )
    np.testing.assert_allclose(model.b.numpy(), np.log(2) / 1000, rtol=1e-9)


def test_rejected_step_leaves_the_weights_to_the_last_bit(float64):
    # With one attempt and a huge region the first step of Rosenbrock fails.
    function, start = CLASSICS["rosenbrock"]
    model, history = minimize_residuals(
        function, start, epochs=1, max_attempts=1
    )
    assert history["accepted"] == [0.0]
    np.testing.assert_array_equal(model.b.numpy(), start)
    assert history["trust_radius"][0] < 100 * np.linalg.norm(start) * 30


def test_linearly_dependent_columns_are_no_obstacle(float64):
    for solver in ("cholesky", "qr", "dual"):
        model, _ = minimize_residuals(
            lambda b: [b[0] + b[1] - 3, 2 * (b[0] + b[1] - 3), 0 * b[2]],
            [0.0, 0.0, 1.0],
            epochs=20,
            linear_solver=solver,
        )
        b = model.b.numpy()
        np.testing.assert_allclose(b[0] + b[1], 3, rtol=1e-7)
        assert b[2] == 1


def test_each_tolerance_ends_fit_with_its_reason(float64):
    function, start = CLASSICS["freudenstein_roth"]
    for name, reason in (
        ("gradient_tolerance", "gradient"),
        ("step_tolerance", "step"),
        ("loss_tolerance", "loss"),
    ):
        model, history = minimize_residuals(function, start, **{name: 1e-3})
        assert reason in model.optimizer.stop_reason
        assert history["stop_reason"] == [model.optimizer.stop_reason]
        assert len(history["loss"]) < 40


def test_resumed_training_is_the_uninterrupted_one(float64, rng, tmp_path):
    x, y = rng.normal(size=(12, 2)), rng.normal(size=(12, 1))
    keras.utils.set_random_seed(0)
    model = network()
    model.compile(LevenbergMarquardt(), "mse")
    fit(model, x, y, 3)
    model.save(tmp_path / "model.keras")
    fit(model, x, y, 3)
    resumed = keras.models.load_model(tmp_path / "model.keras")
    fit(resumed, x, y, 3)
    np.testing.assert_array_equal(flat_weights(resumed), flat_weights(model))


def test_config_holds_every_setting():
    optimizer = LevenbergMarquardt(
        "qr", "identity", 3.0, 4, 5, 1e-3, 1e-4, 1e-5, name="lm"
    )
    copy = LevenbergMarquardt.from_config(optimizer.get_config())
    assert copy.get_config() == optimizer.get_config()
    assert optimizer.get_config() == {
        "linear_solver": "qr",
        "scaling": "identity",
        "initial_trust_radius": 3.0,
        "max_attempts": 4,
        "slice_size": 5,
        "gradient_tolerance": 1e-3,
        "step_tolerance": 1e-4,
        "loss_tolerance": 1e-5,
        "name": "lm",
    }


@pytest.mark.parametrize(
    "options",
    [
        {"linear_solver": "lu"},
        {"scaling": 1.0},
        {"initial_trust_radius": 0.0},
        {"max_attempts": 0},
        {"slice_size": 0},
        {"gradient_tolerance": -1.0},
        {"step_tolerance": float("nan")},
        {"loss_tolerance": "small"},
        {"clipnorm": 1.0},
        {"use_ema": True},
        {"weight_decay": 0.1},
        {"gradient_accumulation_steps": 2},
    ],
)
def test_wrong_settings_are_refused_by_name(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        LevenbergMarquardt(**options)


def compiled(model, loss="mse", **options):
    model.compile(LevenbergMarquardt(**options), loss)
    return model


def test_what_cannot_be_right_is_refused(rng):
    x, y = rng.normal(size=(12, 2)), rng.normal(size=(12, 1))
    dense = keras.layers.Dense

    def sequential(*layers):
        return keras_curvature.Sequential([keras.Input((2,)), *layers])

    with pytest.raises(RuntimeError, match=r"keras_curvature\.Model"):
        fit(compiled(keras.Sequential([keras.Input((2,)), dense(1)])), x, y, 1)
    with pytest.raises(ValueError, match="mean_absolute_error"):
        fit(compiled(sequential(dense(1)), "mae"), x, y, 1)
    with pytest.raises(ValueError, match="regularizers"):
        fit(compiled(sequential(dense(1, kernel_regularizer="l2"))), x, y, 1)
    with pytest.raises(ValueError, match="dropout"):
        fit(compiled(sequential(keras.layers.Dropout(0.5), dense(1))), x, y, 1)
    with pytest.raises(ValueError, match="batch_normalization"):
        fit(
            compiled(sequential(keras.layers.BatchNormalization(), dense(1))),
            x,
            y,
            1,
        )
    with pytest.raises(ValueError, match="set_floatx"):
        fit(compiled(sequential(dense(1, dtype="float64"))), x, y, 1)
    with pytest.raises(ValueError, match="learning_rate"):
        LevenbergMarquardt().learning_rate = 0.1


def test_a_layer_that_mixes_samples_is_found_out(rng):
    class Centred(keras.layers.Layer):
        def call(self, x):
            return x - tf.reduce_mean(x, axis=0)

    model = compiled(
        keras_curvature.Sequential(
            [keras.Input((2,)), Centred(), keras.layers.Dense(1)]
        )
    )
    with pytest.raises(RuntimeError, match="one by one"):
        fit(model, rng.normal(size=(12, 2)), rng.normal(size=(12, 1)), 1)


def test_float32_reaches_its_precision(rng):
    x = rng.normal(size=(40, 2)).astype("float32")
    y = x @ np.array([[2.0], [-3.0]], "float32") + 1
    model = compiled(
        keras_curvature.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    )
    fit(model, x, y, 30)
    kernel, bias = model.get_weights()
    np.testing.assert_allclose(kernel[:, 0], [2, -3], rtol=1e-6)
    np.testing.assert_allclose(bias, [1], rtol=1e-6)


def test_a_frozen_layer_stays_and_an_unused_weight_is_left_alone(float64, rng):
    class WithUnused(keras_curvature.Model):
        def __init__(self):
            super().__init__()
            self.frozen = keras.layers.Dense(3, activation="tanh")
            self.frozen.trainable = False
            self.out = keras.layers.Dense(1)
            self.unused = self.add_weight(shape=(2,), name="unused")

        def call(self, x):
            return self.out(self.frozen(x))

    x, y = rng.normal(size=(12, 2)), rng.normal(size=(12, 1))
    model = WithUnused()
    model(x)
    frozen, unused = model.frozen.kernel.numpy(), model.unused.numpy()
    compiled(model)
    fit(model, x, y, 10)
    np.testing.assert_array_equal(model.frozen.kernel.numpy(), frozen)
    np.testing.assert_array_equal(model.unused.numpy(), unused)
    features = np.concatenate(
        [model.frozen(x).numpy(), np.ones((12, 1))], axis=1
    )
    best = np.linalg.lstsq(features, y, rcond=None)[0]
    np.testing.assert_allclose(
        np.concatenate(model.out.get_weights(), axis=None), best[:, 0], 1e-6
    )


def test_poisson_equation_is_solved_by_a_residual_model(float64):
    """u″ = −π² sin πx with u(0) = u(1) = 0, in one dimension."""

    class Poisson(keras_curvature.Model):
        def __init__(self):
            super().__init__()
            self.field = keras.Sequential(
                [
                    keras.Input((1,)),
                    keras.layers.Dense(10, activation="tanh"),
                    keras.layers.Dense(1),
                ]
            )

        def solution(self, x):
            return x * (1 - x) * self.field(x)

        def call(self, x):
            with tf.GradientTape() as outer:
                outer.watch(x)
                with tf.GradientTape() as inner:
                    inner.watch(x)
                    u = self.solution(x)
                slope = inner.gradient(u, x)
            return outer.gradient(slope, x)

    x = np.linspace(0, 1, 50)[:, None]
    model = compiled(Poisson())
    fit(model, x, -(np.pi**2) * np.sin(np.pi * x), 100)
    error = model.solution(tf.constant(x)).numpy() - np.sin(np.pi * x)
    assert np.linalg.norm(error) / np.linalg.norm(np.sin(np.pi * x)) < 1e-7
