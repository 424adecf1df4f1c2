"""K-FAC's steps against closed forms and against K-FAC in NumPy."""

import functools

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import keras_curvature
from keras_curvature.optimizers import KFAC
from tests.optimizers.helpers import fit, weights
from tests.optimizers.kronecker.helpers import (
    CLASSES,
    LABELS,
    RNG,
    TARGETS,
    N,
    X,
    crossentropy,
)
from tests.oracles import flat

L = keras.layers


def network(*sizes, activation=None, model_class=keras.Sequential):
    keras.utils.set_random_seed(1)
    layers = [L.Dense(size, "tanh") for size in sizes]
    last = L.Dense(CLASSES, activation)
    return model_class([keras.Input((4,)), *layers, last])


def optimizer(**options):
    """Bare natural gradients of the expected Fisher information."""
    plain = {"momentum": 0.0, "kl_bound": None, "update_period": 1}
    return KFAC(**plain | {"fisher": "exact"} | options)


def step(model, own, x, y, loss, **options):
    """The weights after a step on the whole data, minus those before."""
    before = weights(model)
    model.compile(own, loss, **options)
    fit(model, 1, x, y, batch_size=len(x))
    return weights(model) - before


def with_one(x):
    return np.hstack([x, np.ones((len(x), 1))])


def test_one_step_solves_linear_least_squares(float64):
    model = network()
    # Which adds the damping to A ⊗ G, and not parts of it to A and G.
    own = {"learning_rate": 1.0, "eigenvalue_correction": True}
    step(model, optimizer(damping=1e-12, **own), X, TARGETS, "mse")
    solution = np.linalg.lstsq(with_one(X), TARGETS, rcond=None)[0]
    assert_allclose(weights(model), solution.ravel(), rtol=1e-8)


@pytest.mark.parametrize("damping", [0.01, 1.0])
def test_a_softmax_of_one_input_has_its_natural_gradient(damping, float64):
    """(F + λ·I)⁻¹·∇L with the dense F, which A ⊗ G is here."""
    model, x = network(), np.repeat(X[:1], N, 0)
    kernel, bias = model.get_weights()
    logits = x @ kernel + bias
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    a, score = with_one(x), p - np.eye(CLASSES)[LABELS]
    gradient = (a.T @ score / N).ravel()
    each = [
        np.kron(np.outer(r, r), np.diag(q) - np.outer(q, q))
        for r, q in zip(a, p, strict=True)
    ]
    shifted = np.mean(each, 0) + damping * np.eye(len(gradient))
    own = optimizer(
        learning_rate=0.5, damping=damping, eigenvalue_correction=True
    )
    assert_allclose(
        step(model, own, x, LABELS, crossentropy()),
        -0.5 * np.linalg.solve(shifted, gradient),
        rtol=1e-8,
    )


class ByHand:
    """K-FAC of a tanh network under a softmax, in NumPy."""

    def __init__(self, start, period, decay, damping, momentum, rate, bound):
        self.layers = [
            np.vstack(pair)
            for pair in zip(start[::2], start[1::2], strict=True)
        ]
        self.period, self.decay, self.damping = period, decay, damping
        self.momentum, self.rate, self.bound = momentum, rate, bound
        self.factors, self.count, self.updates = None, 0, 0
        self.velocities = [np.zeros_like(w) for w in self.layers]

    def signals(self, inputs, score):
        signals = [score]
        pairs = list(zip(inputs, self.layers, strict=True))
        for a, w in reversed(pairs[1:]):
            back = signals[0] @ w[:-1].T * (1 - a[:, :-1] ** 2)
            signals.insert(0, back)
        return signals

    def step(self, x, y):
        inputs = [with_one(x)]
        for w in self.layers[:-1]:
            inputs.append(with_one(np.tanh(inputs[-1] @ w)))
        logits = inputs[-1] @ self.layers[-1]
        p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        n, one_hot = len(x), np.eye(CLASSES)
        if self.count % self.period == 0 or self.count in (1, 2, 4):
            new = [[a.T @ a / n, 0] for a in inputs]
            for k in range(CLASSES):
                score = (p - one_hot[k]) * np.sqrt(p[:, k : k + 1])
                for pair, g in zip(
                    new, self.signals(inputs, score), strict=True
                ):
                    pair[1] = pair[1] + g.T @ g / n
            self.updates += 1
            rate = max(1 / self.updates, 1 - self.decay)
            old = self.factors or new
            self.factors = [
                [(1 - rate) * o + rate * m for o, m in zip(*pairs, strict=True)]
                for pairs in zip(old, new, strict=True)
            ]
        self.count += 1
        score = p - one_hot[y]
        gradients = [
            a.T @ g / n
            for a, g in zip(inputs, self.signals(inputs, score), strict=True)
        ]
        directions = [
            self.direction(*pair, gradient)
            for pair, gradient in zip(self.factors, gradients, strict=True)
        ]
        change = self.rate**2 * sum(
            np.sum(g * d) for g, d in zip(gradients, directions, strict=True)
        )
        share = min(1, np.sqrt(self.bound / change))
        for w, v, d in zip(
            self.layers, self.velocities, directions, strict=True
        ):
            v[:] = self.momentum * v + share * d
            w -= self.rate * v

    def direction(self, a, g, gradient):
        pi = np.sqrt(np.mean(np.diag(a)) / np.mean(np.diag(g)))
        left = a + pi * np.sqrt(self.damping) * np.eye(len(a))
        right = g + np.sqrt(self.damping) / pi * np.eye(len(g))
        return np.linalg.solve(left, np.linalg.solve(right, gradient.T).T)


SETTINGS = {
    "learning_rate": 0.3,
    "momentum": 0.5,
    "damping": 0.05,
    "decay": 0.6,
    "update_period": 6,
}


@pytest.mark.parametrize("bound", [1e3, 1e-3])
def test_steps_are_those_of_numpy(bound, float64):
    model = network(5)
    hand = ByHand(
        model.get_weights(),
        period=6,
        decay=0.6,
        damping=0.05,
        momentum=0.5,
        rate=0.3,
        bound=bound,
    )
    model.compile(optimizer(**SETTINGS, kl_bound=bound), crossentropy())
    x, y = RNG.normal(size=(8, N, 4)), RNG.integers(0, CLASSES, (8, N))
    for batch, labels in zip(x, y, strict=True):
        hand.step(batch, labels)
    fit(model, 1, x.reshape(-1, 4), y.ravel(), batch_size=N)
    expected = np.concatenate([w.ravel() for w in hand.layers])
    assert_allclose(weights(model), expected, rtol=1e-8)


LOSSES = {
    "squares": ("mse", TARGETS, "linear", "monte_carlo"),
    "classes": (crossentropy(), LABELS, "linear", "empirical"),
    "softmax": (
        "categorical_crossentropy",
        np.eye(CLASSES)[LABELS],
        "softmax",
        "exact",
    ),
    "sigmoid": ("binary_crossentropy", TARGETS > 0, "sigmoid", "monte_carlo"),
}


@pytest.mark.parametrize("case", LOSSES)
def test_a_plain_model_trains_as_a_recorded_one(case, float64):
    loss, y, activation, fisher = LOSSES[case]
    weight = RNG.uniform(0.5, 2, N)
    reached = []
    for model_class in (keras.Sequential, keras_curvature.Sequential):
        model = network(activation=activation, model_class=model_class)
        model.compile(KFAC(0.05, fisher=fisher, update_period=2), loss)
        fit(model, 2, X, y, batch_size=N, sample_weight=weight)
        reached.append(weights(model))
    assert_allclose(reached[0], reached[1], rtol=1e-6, atol=1e-10)


def test_losses_are_recognized_beside_others_and_penalties(float64):
    targets = {"a": LABELS, "b": TARGETS}
    reached = []
    for model_class in (keras.Model, keras_curvature.Model):
        keras.utils.set_random_seed(1)
        inputs = keras.Input((4,))
        h = L.Dense(3, "tanh", kernel_regularizer="l2")(inputs)
        outputs = {name: L.Dense(CLASSES, name=name)(h) for name in targets}
        model = model_class(inputs, outputs)
        model.compile(
            KFAC(update_period=2),
            {"a": crossentropy(), "b": "mse"},
            loss_weights={"a": 1.0, "b": 0.3},
        )
        fit(model, 3, X, targets, batch_size=N)
        reached.append(weights(model))
    assert_allclose(reached[0], reached[1], rtol=1e-6, atol=1e-10)


@functools.cache
def varied():
    """A table, a normalization and a weight without factors."""
    layers = [
        L.Embedding(7, 4),
        L.BatchNormalization(),
        Powers(),
        L.Flatten(),
        L.Dense(CLASSES),
    ]
    keras.utils.set_random_seed(1)
    return keras.Sequential([keras.Input((6,), dtype="int32"), *layers])


@keras.saving.register_keras_serializable(package="tests")
class Powers(L.Layer):
    """x ↦ exp(w)·x, a use of a weight that has no factors."""

    def build(self, shape):
        self.w = self.add_weight(shape=(shape[-1],), name="w")

    def call(self, x):
        return keras.ops.exp(self.w) * x


@pytest.mark.filterwarnings("ignore:kfac")
@pytest.mark.parametrize("correction", [False, True])
def test_a_saved_plain_model_resumes_bit_for_bit(correction, tmp_path):
    """Also: weights without factors are named once."""
    whole = keras.models.clone_model(varied())
    options = {"update_period": 3, "eigenvalue_correction": correction}
    whole.compile(KFAC(**options), crossentropy())
    x = RNG.integers(0, 7, (N, 6))
    with pytest.warns(UserWarning, match="no Kronecker factors") as caught:
        fit(whole, 2, x, LABELS, batch_size=2)
        whole.save(tmp_path / "model.keras")
        fit(whole, 2, x, LABELS, batch_size=2)
    texts = [str(w.message) for w in caught if "Kronecker" in str(w.message)]
    assert len(texts) == 1 and "powers/w. An estimated" in texts[0]
    resumed = keras.saving.load_model(tmp_path / "model.keras")
    fit(resumed, 2, x, LABELS, batch_size=2)
    assert_array_equal(weights(resumed), weights(whole))
    assert_array_equal(
        flat(resumed.optimizer.variables), flat(whole.optimizer.variables)
    )


def test_factors_are_float32_under_half_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = network(5)
    step(model, KFAC(), X, LABELS, crossentropy())
    dtypes = {v.dtype for v in model.optimizer.variables if "factor" in v.path}
    assert dtypes == {"float32"}


def test_a_factor_that_is_not_finite_is_not_taken(float64):
    """The square of an input overflows where the gradient does not."""
    own, model = KFAC(update_period=1), network()
    step(model, own, X, TARGETS, "mse")
    factors = [v for v in own.variables if "factor" in v.path]
    before = flat(factors)
    kernel, bias = model.get_weights()
    kernel[0] = 0
    model.set_weights([kernel, bias])
    fit(model, 1, X + np.array([1e200, 0, 0, 0]), TARGETS, batch_size=N)
    assert own.iterations == 2
    assert_array_equal(flat(factors), before)
    assert np.isfinite(weights(model)).all()


def test_batches_whose_samples_weigh_nothing_leave_the_factors(float64):
    own, model = KFAC(update_period=1), network()
    options = {"batch_size": N, "sample_weight": np.zeros(N)}
    model.compile(own, "mse")
    fit(model, 2, X, TARGETS, **options)
    factors = [v for v in own.variables if "factor" in v.path]
    fit(model, 1, X, TARGETS, batch_size=N)
    inputs = with_one(X)
    assert_allclose(own._factors[0]["inputs"][0], inputs.T @ inputs / N)
    before = flat(factors)
    fit(model, 2, X, TARGETS, **options)
    assert_array_equal(flat(factors), before)


@pytest.mark.parametrize(
    "loss",
    [
        keras.losses.LogCosh(),
        lambda y, f: keras.ops.mean(keras.ops.square(f - y) ** 2, -1),
        lambda y, f: keras.ops.mean(keras.ops.square(f - y) * f, -1),
    ],
)
def test_a_loss_that_is_not_recognized_is_refused(loss):
    model = network()
    model.compile(KFAC(), loss)
    with pytest.raises(RuntimeError, match=r"keras_curvature\.Model"):
        fit(model, 1, X, TARGETS)


def test_half_precision_with_a_scale_needs_a_recorded_model():
    keras.config.set_dtype_policy("mixed_float16")
    model = network()
    model.compile(KFAC(), "mse")
    with pytest.raises(RuntimeError, match=r"keras_curvature\.Model"):
        fit(model, 1, X, TARGETS)


class Transposed(L.Layer):
    """x ↦ x·Wᵀ with a weight of another layer."""

    def __init__(self, kernel):
        super().__init__()
        self.kernel = kernel

    def call(self, x):
        return x @ keras.ops.transpose(self.kernel)


def test_a_layer_that_changes_its_use_is_refused():
    own, model = KFAC(), network()
    step(model, own, X, TARGETS, "mse")
    kernel = model.layers[0].kernel
    other = keras.Sequential([keras.Input((CLASSES,)), Transposed(kernel)])
    other.compile(own, "mse")
    with pytest.raises(ValueError, match=r"another use of .*kernel.* new opt"):
        fit(other, 1, TARGETS, X)


@pytest.mark.parametrize(
    "argument, value, rule",
    [
        ("momentum", 1.0, "below 1|< 1"),
        ("damping", 0.0, "> 0"),
        ("decay", -0.1, "≥ 0"),
        ("update_period", 0, "≥ 1"),
        ("fisher", "sampled", "monte_carlo"),
        ("sharing", "mean", "expand"),
        ("eigenvalue_correction", 1, "bool|True"),
        ("kl_bound", -1.0, "> 0"),
        ("kl_bound", 0, "> 0"),
        ("max_factor_size", 0, "≥ 1"),
        ("seed", -1, "≥ 0"),
    ],
)
def test_an_argument_that_breaks_its_rule_is_refused(argument, value, rule):
    with pytest.raises(ValueError, match=rule) as refusal:
        KFAC(**{argument: value})
    assert argument in str(refusal.value)
    assert str(value) in str(refusal.value)
