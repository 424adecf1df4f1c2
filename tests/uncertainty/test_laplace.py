"""Laplace posteriors against Gaussian processes, dense matrices, quadrature."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from keras_curvature.uncertainty import Laplace
from keras_curvature.uncertainty._rows import DenseRows

PRIOR, NOISE = 0.7, 0.4


def linear_model(x, y):
    """A linear model at the maximum of the posterior."""
    model = keras.Sequential(
        [keras.Input(x.shape[1:]), keras.layers.Dense(2, use_bias=False)]
    )
    model.compile(loss="mse")
    precision = x.T @ x / NOISE**2 + PRIOR * np.eye(x.shape[1])
    model.set_weights([np.linalg.solve(precision, x.T @ y / NOISE**2)])
    return model


@pytest.fixture
def line(float64, rng):
    x = rng.normal(size=(30, 4))
    y = x @ rng.normal(size=(4, 2)) + NOISE * rng.normal(size=(30, 2))
    return linear_model(x, y), x, y


def fitted(model, x, y, **options):
    options = {"prior_precision": PRIOR, "noise": NOISE} | options
    return Laplace(model, **options).fit(x, y, batch_size=7)


@pytest.mark.parametrize("structure", ["full", "low_rank"])
def test_linear_model_is_a_gaussian_process(structure, line):
    model, x, y = line
    laplace = fitted(model, x, y, structure=structure)
    kernel = x @ x.T / PRIOR
    data = kernel + NOISE**2 * np.eye(30)
    evidence = stats.multivariate_normal(np.zeros(30), data).logpdf(y.T)
    np.testing.assert_allclose(
        laplace.log_marginal_likelihood(), evidence.sum(), rtol=1e-10
    )
    new = np.linspace(-1, 1, 12).reshape(3, 4)
    cross = new @ x.T / PRIOR
    mean = cross @ np.linalg.solve(data, y)
    variance = new @ new.T / PRIOR - cross @ np.linalg.solve(data, cross.T)
    prediction = laplace.predict(new)
    np.testing.assert_allclose(prediction.mean, mean, rtol=1e-10)
    np.testing.assert_allclose(
        prediction.covariance,
        np.diag(variance)[:, None, None] * np.eye(2),
        atol=1e-12,
    )
    np.testing.assert_allclose(
        prediction.variance, prediction.epistemic_variance + NOISE**2
    )


def gauss_newton(model, x, probabilities):
    """Σ Jᵀ·(diag(p) − p·pᵀ)·J by plain tapes."""
    with tf.GradientTape() as tape:
        logits = model(x)
    rows = tape.jacobian(logits, model.trainable_variables)
    rows = [tf.reshape(r, (*logits.shape, -1)) for r in rows]
    jacobian = tf.concat(rows, 2).numpy()
    p = probabilities
    inner = np.einsum("bi,ij->bij", p, np.eye(3)) - p[:, :, None] * p[:, None]
    return jacobian, np.einsum("bin,bij,bjm->nm", jacobian, inner, jacobian)


@pytest.fixture
def classifier(float64, rng):
    x = rng.normal(size=(20, 2))
    labels = rng.integers(0, 3, 20)
    model = keras.Sequential(
        [
            keras.Input((2,)),
            keras.layers.Dense(3, activation="tanh", name="hidden"),
            keras.layers.Dense(3, name="logits"),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(loss=loss)
    return model, x, labels


@pytest.mark.parametrize("structure", ["full", "diagonal", "low_rank"])
def test_structures_are_those_of_the_dense_matrix(structure, classifier):
    model, x, labels = classifier
    laplace = Laplace(
        model, structure=structure, prior_precision=0.5, rank=4
    ).fit(x, labels)
    logits = model(x).numpy()
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    jacobian, matrix = gauss_newton(model, x, p)
    if structure == "diagonal":
        matrix = np.diag(np.diag(matrix))
    if structure == "low_rank":
        values, vectors = np.linalg.eigh(matrix)
        matrix = (vectors[:, -4:] * values[-4:]) @ vectors[:, -4:].T
    size = len(matrix)
    precision = matrix + 0.5 * np.eye(size)
    weights = np.concatenate([w.ravel() for w in model.get_weights()])
    evidence = np.log(p[range(20), labels]).sum() - 0.5 * (
        0.5 * weights @ weights
        + np.linalg.slogdet(precision)[1]
        - size * np.log(0.5)
    )
    np.testing.assert_allclose(
        laplace.log_marginal_likelihood(), evidence, rtol=1e-9
    )
    inverse = np.linalg.inv(precision)
    prediction = laplace.predict(x[:5])
    np.testing.assert_allclose(
        prediction.covariance,
        np.einsum("bin,nm,bjm->bij", jacobian, inverse, jacobian)[:5],
        atol=1e-8,
    )
    # The square root that samples are drawn with.
    root = laplace._now.normal.samples(np.eye(size))
    np.testing.assert_allclose(root.T @ root, inverse, atol=1e-8)
    np.testing.assert_allclose(
        laplace._now.normal.variances, np.diag(inverse), rtol=1e-7
    )


def test_posterior_of_several_block_rows(float64, rng):
    x, labels = rng.normal(size=(40, 150)), rng.integers(0, 3, 40)
    model = keras.Sequential([keras.Input((150,)), keras.layers.Dense(3)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(loss=loss)
    laplace = Laplace(model, prior_precision=[0.5, 2.0]).fit(x, labels)
    logits = model(x).numpy()
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    jacobian, matrix = gauss_newton(model, x, p)
    precision = matrix + np.diag(np.repeat([0.5, 2.0], [450, 3]))
    inverse = np.linalg.inv(precision)
    normal = laplace._now.normal
    np.testing.assert_allclose(
        normal.log_determinant, np.linalg.slogdet(precision)[1], rtol=1e-10
    )
    np.testing.assert_allclose(
        laplace.predict(x[:5]).covariance,
        np.einsum("bin,nm,bjm->bij", jacobian, inverse, jacobian)[:5],
        rtol=1e-9,
    )
    np.testing.assert_allclose(normal.variances, np.diag(inverse), rtol=1e-9)
    root = normal.samples(np.eye(453))
    np.testing.assert_allclose(root.T @ root, inverse, atol=1e-9)


def test_kronecker_products_are_one_distribution(classifier):
    model, x, labels = classifier
    normal = Laplace(model, structure="kron").fit(x, labels)._now.normal
    units = np.eye(sum(w.size for w in model.get_weights()))
    inverse = normal.covariance(DenseRows(units[np.newaxis]))[0]
    root = normal.samples(units)
    np.testing.assert_allclose(root.T @ root, inverse, atol=1e-12)
    np.testing.assert_allclose(normal.variances, np.diag(inverse))
    np.testing.assert_allclose(
        normal.log_determinant, -np.linalg.slogdet(inverse)[1]
    )


def test_sampled_functions_have_the_covariance_of_predictions(classifier):
    model, x, labels = classifier
    laplace = Laplace(model).fit(x, labels)
    functions = laplace.sample_functions(x[:2], samples=4000)
    prediction = laplace.predict(x[:2])
    error = functions - prediction.mean
    found = np.einsum("sbi,sbj->bij", error, error) / 4000
    scale = prediction.covariance.max()
    # Four standard errors of a variance from 4,000 samples.
    np.testing.assert_allclose(
        found, prediction.covariance, atol=4 * scale * np.sqrt(2 / 4000)
    )


def test_last_layer_and_patterns_choose_weights(classifier):
    model, x, labels = classifier
    last = Laplace(model, weights="last_layer").fit(x, labels)
    assert [v.path for v in last.variables] == [
        v.path for v in model.layers[-1].variables
    ]
    named = Laplace(model, weights="logits").fit(x, labels)
    np.testing.assert_array_equal(
        last.predict(x).covariance, named.predict(x).covariance
    )


@pytest.mark.parametrize("per_layer", [False, True])
def test_tuned_numbers_maximize_the_evidence(per_layer, float64, rng):
    x = rng.uniform(-1, 1, (40, 1))
    y = np.sin(3 * x) + 0.1 * rng.normal(size=x.shape)
    model = keras.Sequential(
        [
            keras.Input((1,)),
            keras.layers.Dense(4, activation="tanh"),
            keras.layers.Dense(1),
        ]
    )
    model.compile(loss="mse")
    laplace = Laplace(model).fit(x, y)
    reached = laplace.tune(
        per_layer=per_layer, max_iterations=5000, tolerance=1e-9
    )
    precision, noise = laplace.prior_precision, laplace.noise
    assert len(set(precision)) == (2 if per_layer else 1)

    def evidence(factors, noise_factor):
        laplace.prior_precision = list(precision * factors)
        laplace.noise = noise * noise_factor
        return laplace.log_marginal_likelihood()

    layers = np.array([0, 0, 1, 1])
    for group in range(2) if per_layer else (slice(None),):
        moved = layers == group if per_layer else np.ones(4, bool)
        slopes = [
            evidence(np.where(moved, f, 1.0), 1.0) - reached
            for f in (np.exp(1e-3), np.exp(-1e-3))
        ]
        assert abs(slopes[0] - slopes[1]) < 1e-6
    slopes = [evidence(np.ones(4), f) - reached for f in (1.001, 1 / 1.001)]
    assert abs(slopes[0] - slopes[1]) < 1e-6
    assert max(slopes) < 0


@pytest.mark.parametrize("per_layer", [False, True], ids=["one", "layers"])
def test_validation_finds_the_best_of_the_grid(per_layer, classifier, rng):
    model, x, labels = classifier
    new, grid = rng.normal(size=(15, 2)), [0.01, 1.0, 100.0]
    truth = rng.integers(0, 3, 15)
    laplace = Laplace(model, structure="diagonal").fit(x, labels)
    reached = laplace.tune_by_validation(
        new, truth, per_layer=per_layer, precisions=grid
    )
    chosen = laplace.prior_precision

    def score(precision):
        laplace.prior_precision = list(precision)
        p = laplace.predict(new).probabilities[np.arange(15), truth]
        return -np.log(p).mean()

    np.testing.assert_allclose(score(chosen), reached, rtol=1e-12)
    others = [np.full(4, value) for value in grid]
    if per_layer:
        others += [np.where(np.arange(4) < 2, chosen, v) for v in grid]
    assert min(map(score, others)) >= reached * (1 - 1e-12)
    assert len(set(chosen)) <= (2 if per_layer else 1)


def test_links_come_to_the_integral_over_the_logit(float64, rng):
    x = rng.normal(size=(12, 2))
    labels = (x[:, :1] > 0).astype(float)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(loss=keras.losses.BinaryCrossentropy(from_logits=True))
    laplace = Laplace(model, prior_precision=0.3).fit(x, labels)
    points, weights = np.polynomial.hermite_e.hermegauss(60)
    prediction = laplace.predict(x)
    deviation = np.sqrt(prediction.epistemic_variance)
    logits = prediction.mean + deviation * points
    exact = (weights / (1 + np.exp(-logits))).sum(1) / weights.sum()
    sampled = laplace.predict(x, link="monte_carlo", samples=4000)
    np.testing.assert_allclose(
        sampled.probabilities[:, 0], exact, atol=4 * 0.5 / np.sqrt(4000)
    )
    # MacKay's approximation is that good for logits of this size.
    np.testing.assert_allclose(prediction.probabilities[:, 0], exact, atol=0.02)
    with pytest.raises(ValueError, match="probit"):
        laplace.predict(x, link="bridge")


def test_probabilities_and_logits_give_the_same(classifier):
    model, x, labels = classifier
    outputs = keras.layers.Softmax()(model.outputs[0])
    probabilities = keras.Model(model.inputs, outputs)
    probabilities.compile(loss="sparse_categorical_crossentropy")
    expected = Laplace(model).fit(x, labels)
    found = Laplace(probabilities).fit(x, labels)
    np.testing.assert_allclose(
        found.log_marginal_likelihood(),
        expected.log_marginal_likelihood(),
        rtol=1e-6,
    )
    for link in ("probit", "bridge", "monte_carlo"):
        ours = found.predict(x, link=link, samples=10).probabilities
        theirs = expected.predict(x, link=link, samples=10).probabilities
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)
        np.testing.assert_allclose(ours.sum(1), 1)


def test_probabilities_without_known_logits_have_the_same_mean(classifier):
    model, x, labels = classifier
    outputs = 1.0 * keras.layers.Softmax()(model.outputs[0])
    hidden = keras.Model(model.inputs, outputs)
    hidden.compile(loss="sparse_categorical_crossentropy")
    expected = Laplace(model).fit(x, labels)
    found = Laplace(hidden).fit(x, labels)
    ours, theirs = (
        laplace.predict(x, link="monte_carlo", samples=4000).probabilities
        for laplace in (found, expected)
    )
    # Two means of 4,000 samples.
    np.testing.assert_allclose(ours, theirs, atol=4 * 0.5 * (2 / 4000) ** 0.5)
    bridge = found.predict(x, link="bridge").probabilities
    np.testing.assert_allclose(bridge.sum(1), 1)


def test_saved_beside_the_model_it_predicts_the_same(classifier, tmp_path):
    model, x, labels = classifier
    laplace = Laplace(model, structure="diagonal", weights="logits")
    laplace.fit(x, labels)
    laplace.tune(max_iterations=3)
    model.save(tmp_path / "model.keras")
    laplace.save(tmp_path / "posterior.npz")
    loaded = Laplace.load(
        tmp_path / "posterior.npz",
        keras.saving.load_model(tmp_path / "model.keras"),
    )
    np.testing.assert_array_equal(
        loaded.predict(x).probabilities, laplace.predict(x).probabilities
    )
    assert loaded.log_marginal_likelihood() == laplace.log_marginal_likelihood()
    with pytest.raises(ValueError, match="other weights"):
        Laplace.load(
            tmp_path / "posterior.npz", keras.models.clone_model(model)
        )


def test_a_model_in_float32_keeps_its_small_eigenvalues(rng):
    """Most weights of a wide model of one input are left to the prior."""
    x = rng.uniform(-1, 1, (40, 1)).astype("float32")
    y, shapes = np.sin(3 * x), [(1, 8), (8,), (8, 1), (1,)]
    weights = [rng.normal(size=s).astype("float32") for s in shapes]
    found = []
    for dtype in ("float32", "float64"):
        model = keras.Sequential(
            [
                keras.Input((1,)),
                keras.layers.Dense(8, activation="tanh", dtype=dtype),
                keras.layers.Dense(1, dtype=dtype),
            ]
        )
        model.compile(loss="mse")
        model.set_weights(weights)
        laplace = Laplace(model, noise=0.1, prior_precision=1e-4).fit(x, y)
        found.append(laplace._now.normal)
    # In float32 itself such a matrix is off by whole units, and a variance by
    # a quarter; what remains is the rounding of the Jacobian.
    assert abs(found[0].log_determinant - found[1].log_determinant) < 1e-2
    np.testing.assert_allclose(
        found[0].variances, found[1].variances, rtol=1e-2
    )


def test_a_prior_below_rounding_is_named(rng):
    x, labels = rng.normal(size=(20, 2)), rng.integers(0, 3, 20)
    model = keras.Sequential(
        [keras.Input((2,)), keras.layers.Dense(3, dtype="float32")]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(loss=loss)
    with (
        pytest.warns(UserWarning, match="below the rounding"),
        pytest.raises(ValueError, match="rounding of the curvature in float64"),
    ):
        Laplace(model, prior_precision=1e-20).fit(x, labels)


def mistaken(case, model, x, labels):
    if case == "unfitted":
        return Laplace(model).predict(x)
    if case == "loss":
        model.compile(loss="mae")
    elif case == "smoothed":
        model.compile(
            loss=keras.losses.CategoricalCrossentropy(label_smoothing=0.1)
        )
    elif case == "uncompiled":
        return Laplace(keras.Model(model.inputs, model.outputs))
    elif case == "structure":
        return Laplace(model, structure="kfac")
    elif case == "precision":
        return Laplace(model, prior_precision=[1.0, 2.0]).fit(x, labels)
    elif case == "weights":
        return Laplace(model, weights="first").fit(x, labels)
    elif case == "sample weights":
        data = tf.data.Dataset.from_tensors((x, labels, np.ones(20)))
        return Laplace(model).fit(data)
    elif case == "activity":
        model.layers[0].activity_regularizer = keras.regularizers.L2(0.1)
    elif case == "moved":
        laplace = Laplace(model).fit(x, labels)
        model.layers[0].bias.assign_add(np.ones(3))
        return laplace.predict(x)
    elif case == "hidden layer moved":
        laplace = Laplace(model, weights="last_layer").fit(x, labels)
        model.layers[0].bias.assign_add(np.ones(3))
        return laplace.predict(x)
    elif case == "statistics moved":
        model = keras.Sequential(
            [
                keras.Input((2,)),
                keras.layers.BatchNormalization(),
                keras.layers.Dense(1),
            ]
        )
        model.compile(loss="mse")
        laplace = Laplace(model).fit(x, x[:, :1])
        model.layers[0].moving_mean.assign(np.ones(2))
        return laplace.predict(x)
    elif case == "one class":
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(loss=loss)
        return Laplace(model).fit(x, 0 * labels)
    elif case == "two outputs":
        model = keras.Model(model.inputs, [model.outputs[0]] * 2)
        model.compile(loss="mse")
        return Laplace(model).fit(x, [np.ones((20, 3))] * 2)
    elif case == "repeated targets":
        model.compile(loss="mse")
        return Laplace(model).fit(x, x[:, :1])
    elif case == "no precision":
        return Laplace(model, prior_precision=None).fit(x, labels)
    elif case == "empty":
        return Laplace(model).fit(x, labels).predict(x[:0])
    elif case == "shape":
        return Laplace(model).fit(x, labels).predict(x[:, :1])
    elif case == "random":
        model = keras.Sequential(
            [keras.Input((2,)), Noise(), keras.layers.Dense(2)]
        )
        model.compile(loss="mse")
        return Laplace(model).fit(x, x)
    elif case == "precisions":
        fitted = Laplace(model, structure="diagonal").fit(x, labels)
        return fitted.tune_by_validation(x, labels, precisions=[1.0, -1.0])
    return Laplace(model).fit(x, labels)


class Noise(keras.layers.Layer):
    """Adds noise whatever the mode, as for Monte Carlo dropout."""

    def __init__(self):
        super().__init__(name="noise")
        self.seeds = keras.random.SeedGenerator(0)

    def call(self, x):
        return x + keras.random.normal(keras.ops.shape(x), seed=self.seeds)


@pytest.mark.parametrize(
    "case, message",
    [
        ("unfitted", "before fit"),
        ("loss", "likelihood"),
        ("smoothed", "label_smoothing"),
        ("uncompiled", "compiled with one loss"),
        ("structure", "structure"),
        ("precision", "each of the 4 variables"),
        ("weights", "first"),
        ("sample weights", "sample weights"),
        ("activity", "regularizers"),
        ("moved", "other weights"),
        ("hidden layer moved", "other weights"),
        ("statistics moved", "other weights"),
        ("one class", "binary_crossentropy"),
        ("two outputs", "one output"),
        ("repeated targets", r"\(20, 1\)"),
        ("no precision", "each of the 4 variables"),
        ("empty", "a sample or more"),
        ("shape", r"\(20, 1\)"),
        ("random", "random numbers drawn in noise"),
        ("precisions", "precisions"),
    ],
)
def test_mistakes_are_named(case, message, classifier):
    with pytest.raises(ValueError, match=message):
        mistaken(case, *classifier)
