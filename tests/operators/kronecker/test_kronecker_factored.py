"""K-FAC's factors and operator against closed forms and dense matrices."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_curvature.operators import GaussNewton, KroneckerFactored
from tests.oracles import flat

L = keras.layers
N, CLASSES = 10, 3
RNG = np.random.default_rng(5)
X, TIMES = RNG.normal(size=(N, 4)), RNG.normal(size=(N, 6, 4))
TARGETS = RNG.normal(size=(N, CLASSES))
LABELS = RNG.integers(0, CLASSES, N)


def compiled(layers, shape, loss):
    keras.utils.set_random_seed(2)
    model = keras.Sequential([keras.Input(shape), *layers])
    for v in model.trainable_variables:
        v.assign(RNG.normal(size=v.shape) / 2)
    model.compile(loss=loss)
    return model


def crossentropy():
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def assert_equal(operator, dense, rtol=1e-10):
    np.testing.assert_allclose(
        operator.to_dense(), dense, rtol=rtol, atol=1e-13
    )


@pytest.mark.parametrize("sharing", ["expand", "reduce"])
def test_is_exact_for_one_layer_and_squares(sharing, float64):
    model = compiled([L.Dense(CLASSES)], (4,), "mse")
    operator = KroneckerFactored(model, X, TARGETS, sharing=sharing)
    a = np.concatenate([X, np.ones((N, 1))], 1)
    closed = np.kron(a.T @ a / N, 2 / CLASSES * np.eye(CLASSES))
    assert_equal(operator, closed)
    assert_equal(GaussNewton(model, X, TARGETS), closed)


def test_is_exact_for_a_softmax_of_constant_inputs(float64):
    model = compiled([L.Dense(CLASSES)], (4,), crossentropy())
    x = np.repeat(X[:1], N, 0)
    assert_equal(
        KroneckerFactored(model, x, LABELS),
        GaussNewton(model, x, LABELS).to_dense(),
    )


def test_reduction_is_exact_for_a_mean_over_positions(float64):
    """Eschenhagen et al., 2023, section 3.2."""
    layers = [L.Dense(3), L.GlobalAveragePooling1D()]
    model = compiled(layers, (6, 4), "mse")
    dense = GaussNewton(model, TIMES, TARGETS).to_dense()
    assert_equal(
        KroneckerFactored(model, TIMES, TARGETS, sharing="reduce"), dense
    )
    expanded = KroneckerFactored(model, TIMES, TARGETS).to_dense()
    assert np.abs(expanded - dense).max() > 0.01


def test_expansion_is_exact_for_a_loss_at_each_position(float64):
    """The same, section 3.1."""
    model = compiled([L.Dense(3)], (6, 4), "mse")
    targets = RNG.normal(size=(N, 6, 3))
    assert_equal(
        KroneckerFactored(model, TIMES, targets),
        GaussNewton(model, TIMES, targets).to_dense(),
    )


def test_expansion_is_exact_where_positions_weigh_otherwise(float64):
    """As under a mask, which leaves out the padding of short series."""
    model = compiled([L.Dense(3)], (6, 4), "mse")
    data = TIMES, RNG.normal(size=(N, 6, 3)), np.tri(N, 6)
    assert_equal(
        KroneckerFactored(model, *data, batch_size=4),
        GaussNewton(model, *data).to_dense(),
    )


def test_rows_that_a_mask_leaves_out_are_not_looked_up(float64):
    """∂²L/∂W² = diag(n)/Σn ⊗ 2/3·I with n the counts of the rows of W."""
    x = np.array([[1, 2, 0, 0], [1, 0, 0, 0], [2, 2, 1, 0]])
    model = compiled([L.Embedding(3, 3, mask_zero=True)], (4,), "mse")
    operator = KroneckerFactored(model, x, RNG.normal(size=(3, 4, 3)))
    # Keras divides by all positions that the mask leaves: 6.
    assert_equal(operator, np.kron(np.diag([0, 3, 3]) / 6, 2 / 3 * np.eye(3)))


class Positions(L.Layer):
    """Adds a trained row to each position."""

    def build(self, shape):
        self.table = self.add_weight(shape=shape[1:])

    def call(self, inputs):
        return inputs + self.table


def test_a_table_of_positions_shares_the_factor_of_its_rows(float64):
    """∂²L/∂T² = I/P ⊗ 2/C·W·Wᵀ of the P rows of T, for z = (x + T)·W."""
    model = compiled([Positions(), L.Dense(3)], (6, 4), "mse")
    targets = RNG.normal(size=(N, 6, 3))
    operator = KroneckerFactored(model, TIMES, targets)
    weight = model.layers[1].kernel.numpy()
    closed = np.kron(np.eye(6) / 6, 2 / 3 * weight @ weight.T)
    own = np.asarray(operator.to_dense())[:24, :24]
    np.testing.assert_allclose(own, closed, rtol=1e-10, atol=1e-13)
    diagonal = GaussNewton(model, TIMES, targets).diagonal()
    np.testing.assert_allclose(diagonal[:24], np.diag(closed), rtol=1e-10)


@functools.cache
def network():
    return compiled(
        [L.Dense(5, "tanh"), L.Dense(CLASSES)], (4,), crossentropy()
    )


def signals_by_hand(fisher):
    """A and G of both layers of the network, in NumPy."""
    w1, b1, w2, b2 = network().get_weights()
    h = np.tanh(X @ w1 + b1)
    logits = h @ w2 + b2
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    if fisher == "empirical":
        scores = [(p - np.eye(CLASSES)[LABELS], np.ones(N))]
    else:
        scores = [(p - np.eye(CLASSES)[k], p[:, k]) for k in range(CLASSES)]
    g1 = g2 = 0
    for score, probability in scores:
        below = score @ w2.T * (1 - h**2)
        g2 = g2 + (score * probability[:, None]).T @ score / N
        g1 = g1 + (below * probability[:, None]).T @ below / N
    ones = np.ones((N, 1))
    a1, a2 = np.hstack([X, ones]), np.hstack([h, ones])
    return [(a1.T @ a1 / N, g1), (a2.T @ a2 / N, g2)]


@pytest.mark.parametrize("fisher", ["exact", "empirical"])
def test_factors_are_the_moments_of_inputs_and_signals(fisher, float64):
    expected = signals_by_hand(fisher)
    for batch_size in (N, 3):
        operator = KroneckerFactored(
            network(), X, LABELS, fisher=fisher, batch_size=batch_size
        )
        for (_, a, g), pair in zip(operator.factors, expected, strict=True):
            np.testing.assert_allclose(a[0], pair[0], rtol=1e-10)
            np.testing.assert_allclose(g[0], pair[1], rtol=1e-10, atol=1e-14)


def test_drawn_labels_have_the_exact_expectation(float64):
    x, y = np.tile(X, (400, 1)), np.tile(LABELS, 400)
    drawn, whole = (
        KroneckerFactored(network(), x, y, fisher=fisher, batch_size=1300)
        for fisher in ("monte_carlo", "exact")
    )
    for (_, _, g), (_, _, expected) in zip(
        drawn.factors, whole.factors, strict=True
    ):
        # 4,000 draws: five standard errors of the mean of squares.
        scale = float(tf.linalg.trace(expected[0]))
        np.testing.assert_allclose(g, expected, atol=5 * scale / 4000**0.5)
    again = KroneckerFactored(
        network(), x, y, fisher="monte_carlo", batch_size=4000
    )
    np.testing.assert_allclose(
        again.factors[0].outputs, drawn.factors[0].outputs, rtol=1e-10
    )


def test_sample_weights_weigh_both_factors(float64):
    weight = np.array([2.0, 0, 2, 0, 1, 1, 1, 1, 1, 1])
    rows = np.array([0, 0, 2, 2, 4, 5, 6, 7, 8, 9])
    weighted = KroneckerFactored(network(), X, LABELS, weight, batch_size=4)
    twice = KroneckerFactored(network(), X[rows], LABELS[rows])
    for (_, a, g), (_, b, h) in zip(
        weighted.factors, twice.factors, strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-14)
        np.testing.assert_allclose(g, h, rtol=1e-10, atol=1e-14)


class Powers(L.Layer):
    """x ↦ exp(w)·x, a use of a weight that has no factors."""

    def build(self, shape):
        self.w = self.add_weight(shape=(shape[-1],), name="w")

    def call(self, x):
        return keras.ops.exp(self.w) * x


@functools.cache
def varied():
    """Every kind of factor: groups, diagonals, biases and none."""
    layers = [
        L.Embedding(7, 4),
        L.DepthwiseConv1D(2),
        L.BatchNormalization(),
        L.Conv1D(4, 3, groups=2, activation="tanh"),
        Powers(),
        L.GlobalAveragePooling1D(),
        L.Dense(CLASSES),
    ]
    model = compiled(layers, (6,), crossentropy())
    x = RNG.integers(0, 7, (N, 6))
    operator = KroneckerFactored(model, x, LABELS, max_factor_size=6)
    return operator, operator.to_dense().numpy()


def test_the_algebra_is_that_of_the_dense_matrix(float64):
    operator, dense = varied()
    np.testing.assert_allclose(dense, dense.T, atol=1e-15)
    np.testing.assert_allclose(operator.diagonal(), np.diag(dense), atol=1e-15)
    values = np.linalg.eigvalsh(dense)
    np.testing.assert_allclose(
        operator.eigenvalues(), values, atol=1e-12 * values[-1]
    )
    shifted = dense + 0.3 * np.eye(len(dense))
    np.testing.assert_allclose(
        operator.log_determinant(0.3), np.linalg.slogdet(shifted)[1], rtol=1e-10
    )
    vectors = RNG.normal(size=(len(dense), 2))
    np.testing.assert_allclose(
        operator.inverse(0.3) @ vectors,
        np.linalg.solve(shifted, vectors),
        rtol=1e-9,
        atol=1e-12,
    )


def test_blocks_between_layers_are_zero_and_those_of_layers_as_they_are(
    float64,
):
    operator, dense = varied()
    start = sum(v.shape.num_elements() for v in operator.variables[:-2])
    block = operator.block("dense*").to_dense()
    np.testing.assert_allclose(block, dense[start:, start:], rtol=1e-10)
    assert not dense[start:, :start].any()


def test_weights_without_factors_are_named(float64):
    operator, _ = varied()
    (name,) = operator.without_factors
    assert name.endswith("powers/w")


def test_an_estimated_diagonal_has_the_exact_expectation(float64):
    model = compiled([Powers(), L.Dense(2, "tanh")], (4,), "mse")
    # Of these samples the estimate takes signed sums, all alike in the mean.
    x, y = np.tile(X[:4], (500, 1)), np.zeros((2000, 2))
    operator = KroneckerFactored(model, x, y, batch_size=4)
    exact = GaussNewton(model, X[:4], y[:4]).block("powers").diagonal()
    # 500 estimates, each with a standard deviation of at most √2 times this.
    diagonal = operator.block("powers").diagonal()
    np.testing.assert_allclose(diagonal, exact, rtol=0.3)


def test_factors_follow_the_weights(float64):
    model = compiled(
        [L.Dense(5, "tanh"), L.Dense(CLASSES)], (4,), crossentropy()
    )
    operator = KroneckerFactored(model, X, LABELS)
    before = operator.factors[1].inputs
    model.layers[0].kernel.assign(2 * model.layers[0].kernel)
    after = operator.factors[1].inputs
    fresh = KroneckerFactored(model, X, LABELS).factors[1].inputs
    np.testing.assert_array_equal(after, fresh)
    assert (flat([before]) != flat([after])).any()


def test_factors_and_loss_follow_frozen_weights(float64):
    """Inputs and loss of a layer change with the layers below it."""
    model = compiled(
        [L.Dense(5, "tanh"), L.Dense(CLASSES)], (4,), crossentropy()
    )
    model.layers[0].trainable = False
    model.compile(loss=crossentropy())
    operator = KroneckerFactored(model, X, LABELS)
    before = operator.factors[0].inputs, operator.loss
    model.layers[0].set_weights(
        [2 * weight for weight in model.layers[0].get_weights()]
    )
    again = KroneckerFactored(model, X, LABELS)
    np.testing.assert_array_equal(
        operator.factors[0].inputs, again.factors[0].inputs
    )
    assert operator.loss == again.loss != before[1]
    assert np.any(operator.factors[0].inputs != before[0])


def test_a_singular_matrix_has_no_inverse(float64):
    operator = KroneckerFactored(network(), X, LABELS)
    with pytest.raises(ValueError, match="`damping` must be large"):
        operator.inverse(0)
