"""The numbers of a report, against NumPy's of a small dense Hessian."""

import warnings

import keras
import numpy as np
import pytest

from keras_curvature.report import curvature_report
from keras_curvature.report._plan import plan_for
from keras_curvature.uncertainty import reliability
from tests.oracles import dense_hessian, flat

SAMPLES = 30


def softmax(logits):
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


@pytest.fixture(scope="module")
def case():
    """A classifier with 21 weights in double precision, and its data."""
    keras.utils.set_random_seed(0)
    hidden = keras.layers.Dense(3, "tanh", name="hidden", dtype="float64")
    logits = keras.layers.Dense(3, name="logits", dtype="float64")
    model = keras.Sequential(
        [keras.Input((2,), dtype="float64"), hidden, logits], name="small"
    )
    loss = keras.losses.SparseCategoricalCrossentropy(
        from_logits=True, dtype="float64"
    )
    model.compile(keras.optimizers.SGD(0.25), loss)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(SAMPLES, 2))
    y = rng.integers(0, 3, SAMPLES)
    for weight in model.weights:
        weight.assign(rng.normal(size=weight.shape))
    return model, x, y, loss


@pytest.fixture(scope="module")
def report(case):
    model, x, y, _ = case
    before = model.get_weights()
    found = curvature_report(model, x, y, batch_size=8)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    return found


@pytest.fixture(scope="module")
def dense(case):
    model, x, y, loss = case
    return dense_hessian(lambda: loss(y, model(x)), model.trainable_variables)


def forward(weights, x):
    """Hidden values and logits, by NumPy."""
    kernel, bias, last, last_bias = weights
    hidden = np.tanh(x @ kernel + bias)
    return hidden, hidden @ last + last_bias


def loss_at(weights, x, y):
    p = softmax(forward(weights, x)[1])
    return -np.mean(np.log(p[np.arange(len(y)), y]))


def gradient_at(weights, x, y):
    """By hand: ∂L/∂logits = (p − one-hot) / N, and back from there."""
    hidden, logits = forward(weights, x)
    error = (softmax(logits) - np.eye(3)[y]) / len(y)
    back = (error @ weights[2].T) * (1 - hidden**2)
    return [x.T @ back, back.sum(0), hidden.T @ error, error.sum(0)]


def test_facts_are_those_of_the_model(case, report):
    model, x, y, _ = case
    weights = model.get_weights()
    assert (report.model, report.weights, report.parameters) == (
        "small",
        21,
        21,
    )
    assert (report.samples, report.optimizer) == (SAMPLES, "SGD")
    assert (report.learning_rate, report.stability_limit) == (0.25, 8.0)
    assert report.loss_name == "sparse_categorical_crossentropy"
    np.testing.assert_allclose(report.loss, loss_at(weights, x, y), rtol=1e-12)
    gradient = flat(gradient_at(weights, x, y))
    norm = np.linalg.norm(gradient)
    np.testing.assert_allclose(report.gradient_norm, norm, rtol=1e-12)
    assert report.missing == {} and report.notes == []


def test_eigenvalues_and_trace_are_those_of_the_dense_matrix(report, dense):
    values = np.linalg.eigvalsh(dense)
    scale = np.abs(values).max()
    largest, smallest = report.largest.values, report.smallest.values
    np.testing.assert_allclose(largest, values[:-11:-1], atol=1e-10 * scale)
    np.testing.assert_allclose(smallest, values[:2], atol=1e-10 * scale)
    assert report.sharpness == largest[0]
    np.testing.assert_allclose(report.trace.value, np.trace(dense), rtol=1e-12)
    assert report.trace.standard_error == 0
    nodes = report.density.nodes
    np.testing.assert_allclose(nodes.max(1), values[-1], rtol=1e-9)
    np.testing.assert_allclose(nodes.min(1), values[0], rtol=1e-9)


def test_the_split_is_that_of_the_closed_form(case, report, dense):
    model, x, _, _ = case
    weights = model.get_weights()
    hidden, logits = forward(weights, x)
    p = softmax(logits)
    # Of the logits by the last kernel: hidden for each; by the first: below.
    inner = np.einsum("ni,hk,nh->nihk", x, weights[2], 1 - hidden**2)
    inner_bias = np.einsum("hk,nh->nhk", weights[2], 1 - hidden**2)
    eye = np.eye(3)
    jacobian = np.concatenate(
        [
            inner.reshape(SAMPLES, -1, 3),
            inner_bias,
            np.einsum("nh,kl->nhkl", hidden, eye).reshape(SAMPLES, -1, 3),
            np.broadcast_to(eye, (SAMPLES, 3, 3)),
        ],
        1,
    )
    curvature = np.einsum("nk,kl->nkl", p, eye) - np.einsum("nk,nl->nkl", p, p)
    gauss_newton = (
        np.einsum("nik,nkl,njl->ij", jacobian, curvature, jacobian) / SAMPLES
    )
    first, last = report.split.layers
    for row, block in ((first, slice(0, 9)), (last, slice(9, 21))):
        whole, part = dense[block, block], gauss_newton[block, block]
        for key, expected in (
            ("hessian", np.trace(whole)),
            ("gauss_newton", np.trace(part)),
            ("activations", np.trace(whole - part)),
            ("rest", 0.0),
        ):
            found = row.traces[key].value
            np.testing.assert_allclose(found, expected, atol=1e-12, rtol=1e-10)


def test_activations_are_looked_at(case, report):
    model, x, y, _ = case
    weights = model.get_weights()
    hidden, logits = forward(weights, x)
    first = 1 - hidden**2
    row = report.activations["hidden"]
    np.testing.assert_allclose(row.mean_first, first.mean(), rtol=1e-12)
    second = np.abs(2 * hidden * first).mean()
    np.testing.assert_allclose(row.mean_second, second, rtol=1e-12)
    assert row.saturated == pytest.approx(np.mean(first < 0.05))
    above = (softmax(logits) - np.eye(3)[y]) @ weights[2].T
    norms = [np.sqrt(np.mean((g**2).sum(1))) for g in (above, above * first)]
    np.testing.assert_allclose(
        [row.gradient_norm, row.passed_norm], norms, rtol=1e-10
    )


def test_the_landscape_is_the_loss_along_the_first_eigenvector(
    case, report, dense
):
    model, x, y, _ = case
    weights = model.get_weights()
    shapes = [w.shape for w in weights]
    ends = np.cumsum([w.size for w in weights])[:-1]
    direction = report.largest.vectors.numpy()[:, 0]
    steepest = np.linalg.eigh(dense)[1][:, -1]
    np.testing.assert_allclose(abs(direction @ steepest), 1, rtol=1e-10)
    gradient = flat(gradient_at(weights, x, y))
    np.testing.assert_allclose(report.slope, gradient @ direction, rtol=1e-9)
    (distances,) = report.landscape.coordinates
    expected = []
    for distance in distances:
        moved = np.split(flat(weights) + distance * direction, ends)
        moved = [m.reshape(s) for m, s in zip(moved, shapes, strict=True)]
        expected.append(loss_at(moved, x, y))
    np.testing.assert_allclose(report.landscape.losses, expected, rtol=1e-12)
    # Where the parabola has risen by four losses.
    rise = report.sharpness * distances[-1] ** 2 / 2
    np.testing.assert_allclose(rise, 4 * report.loss, rtol=1e-12)


def test_calibration_is_that_of_the_room_of_uncertainty(case, report):
    model, x, y, _ = case
    p = softmax(forward(model.get_weights(), x)[1])
    expected = reliability(p, y, bins=10)
    for name in ("edges", "counts", "confidence", "accuracy"):
        np.testing.assert_allclose(
            getattr(report.reliability, name), getattr(expected, name)
        )
    assert report.accuracy == pytest.approx(np.mean(p.argmax(1) == y))


def test_chosen_layers_are_a_block(case, dense):
    model, x, y, _ = case
    found = curvature_report(model, x, y, layers="logits")
    values = np.linalg.eigvalsh(dense[9:, 9:])
    assert (found.weights, found.parameters) == (12, 21)
    np.testing.assert_allclose(
        found.largest.values, values[:-11:-1], atol=1e-10
    )
    vector = found.largest.vectors.numpy()[:, 0]
    gradient = flat(gradient_at(model.get_weights(), x, y))[9:]
    np.testing.assert_allclose(found.slope, gradient @ vector, rtol=1e-9)
    assert [row.name for row in found.split.layers] == ["small/logits"]


def test_what_a_model_does_not_admit_is_left_out_with_its_reason():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    x = np.random.default_rng(0).normal(size=(20, 2)).astype("float32")

    def own(y_true, y_pred):
        return keras.ops.mean((y_pred - y_true) ** 4, axis=-1)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = curvature_report(model, x, x[:, :1], loss=own)
    assert found.optimizer is found.learning_rate is None
    assert found.stability_limit is found.reliability is None
    assert "at least one layer" in found.missing["activations"]
    expected = np.mean(
        ((x @ model.get_weights()[0] - x[:, :1]).astype("float64")) ** 4
    )
    np.testing.assert_allclose(found.loss, expected, rtol=1e-5)
    assert "Not measured" in found.to_html()


@pytest.mark.parametrize("size", [1, 30, 10**6, 10**9])
def test_what_is_planned_is_bounded(size):
    plan = plan_for(size, 4, layers=200)
    assert plan.largest <= plan.basis and plan.largest <= size
    least = plan.largest + 2
    assert plan.basis * size * 4 <= max(2**30, least * size * 4)
    assert plan.products < 7000
    few = plan_for(size, 4, layers=3)
    assert few.products <= 1200
