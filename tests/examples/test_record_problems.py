"""The problems of published records: their truth, equations and runs."""

import importlib
import json
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from matplotlib import image

BENCHMARKS = pathlib.Path(__file__).parents[2] / "benchmarks"
PI = np.pi


@pytest.fixture
def module(monkeypatch):
    """Imports a benchmark, which may import those beside it."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module


@pytest.fixture
def network(module):
    """A function that makes the float64 network of a problem."""
    records, problems = module("records"), module("_record_problems").PROBLEMS
    floatx = keras.config.floatx()
    keras.config.set_floatx("float64")
    keras.utils.set_random_seed(0)
    yield lambda name, form=None: records.Network(problems[name](form), [5])
    keras.config.set_floatx(floatx)


def test_allen_cahn_reference_is_resolved(module):
    solution = module("_record_references").allen_cahn
    finer = solution(cosines=4096, steps=4000)
    np.testing.assert_allclose(solution(), finer, rtol=0, atol=1e-10)


def test_allen_cahn_reference_solves_the_equation(module):
    """u_t = 1e-4·u_xx + 5·(u − u³) by central differences."""
    u = module("_record_references").allen_cahn(times=1001, places=2049)
    x = np.linspace(0, 1, 2049)
    np.testing.assert_allclose(u[0], x**2 * np.cos(PI * x), atol=1e-15)
    # Even in x, and even about x = 1 with the period 2.
    u = np.pad(u[100:], ((0, 0), (1, 1)), mode="reflect")
    u_t = (u[2:] - u[:-2]) * 500
    u_xx = (u[:, 2:] - 2 * u[:, 1:-1] + u[:, :-2]) * 2048**2
    u = u[1:-1, 1:-1]
    # That of the differences at the front, h²·1e-4·u_xxxx/12, is near 7e-4.
    np.testing.assert_allclose(
        u_t[:, 1:-1], 1e-4 * u_xx[1:-1] + 5 * (u - u**3), atol=1e-3
    )


def test_burgers_reference_is_resolved(module):
    reference = module("_record_references")._burgers.reference
    t, x = np.meshgrid(np.linspace(0.02, 1, 50), np.linspace(-1, 1, 101))
    np.testing.assert_allclose(
        reference(t.ravel(), x.ravel()),
        reference(t.ravel(), x.ravel(), nodes=240),
        atol=1e-12,
    )


@pytest.mark.parametrize(
    ("name", "exact"),
    [
        ("poisson-2d", lambda z: tf.sin(PI * z[0]) * tf.sin(PI * z[1])),
        ("poisson-5d", lambda z: sum(tf.cos(PI * x) for x in z)),
        ("heat", lambda z: tf.exp(-(PI**2) * z[1] / 4) * tf.sin(PI * z[0])),
        ("helmholtz", lambda z: tf.sin(PI * z[0]) * tf.sin(4 * PI * z[1])),
    ],
    ids=["poisson-2d", "poisson-5d", "heat", "helmholtz"],
)
def test_closed_forms_solve_the_equation(network, name, exact):
    model = network(name)
    model.u = lambda z: exact(tf.split(z, z.shape[1], axis=1))
    points, u = model.problem.truth()
    points, u = points[:50], u[:50]
    np.testing.assert_allclose(model.u(tf.constant(points)), u, atol=1e-13)
    np.testing.assert_allclose(
        model.equation(tf.constant(points)),
        model.problem.source(points),
        atol=1e-10,
    )


@pytest.mark.parametrize("name", ["burgers", "allen-cahn"])
def test_nonlinear_equations_of_a_decaying_sine(network, name):
    model = network(name)
    model.u = lambda z: tf.exp(-z[:, 1:]) * tf.sin(PI * z[:, :1])
    points = model.problem.uniform(50, np.random.default_rng(0))
    x, t = points[:, :1], points[:, 1:]
    u = np.exp(-t) * np.sin(PI * x)
    expected = {
        "burgers": -u
        + u * PI * np.exp(-t) * np.cos(PI * x)
        + 0.01 / PI * PI**2 * u,
        "allen-cahn": -u + 1e-4 * PI**2 * u - 5 * (u - u**3),
    }[name]
    np.testing.assert_allclose(
        model.equation(tf.constant(points)), expected, atol=1e-12
    )


@pytest.mark.parametrize("form", ["odd", "hard"])
def test_burgers_conditions_are_met_by_construction(network, form):
    model = network("burgers", form)
    x = np.linspace(-1, 1, 9)[:, None]
    start = model.u(tf.constant(np.hstack([x, 0 * x])))
    np.testing.assert_allclose(start, -np.sin(PI * x), atol=1e-15)
    ends = model.u(tf.constant(np.array([[-1, 0.3], [1, 0.7]])))
    np.testing.assert_allclose(ends, 0, atol=1e-15)


def test_burgers_is_periodic_from_its_start(network):
    model = network("burgers", "periodic")
    x = np.linspace(-1, 1, 9)[:, None]
    start = model.u(tf.constant(np.hstack([x, 0 * x])))
    np.testing.assert_allclose(start, -np.sin(PI * x), atol=1e-15)
    ends = model.u(tf.constant(np.array([[-1, 0.3], [1, 0.3]])))
    np.testing.assert_allclose(ends[0], ends[1], atol=1e-14)
    assert model.network.input_shape == (None, 3)


def test_allen_cahn_is_periodic_from_its_start(network):
    model = network("allen-cahn", "hard")
    x = np.linspace(-1, 1, 9)[:, None]
    start = model.u(tf.constant(np.hstack([x, 0 * x])))
    np.testing.assert_allclose(start, x**2 * np.cos(PI * x), atol=1e-15)
    ends = tf.constant(np.array([[-1, 0.2], [1, 0.2]]))
    with tf.GradientTape() as tape:
        tape.watch(ends)
        u = model.u(ends)
    (left, _), (right, _) = tape.gradient(u, ends).numpy()
    np.testing.assert_allclose(u[0], u[1], rtol=1e-12)
    # Their difference would be 4·e^(−2) = 0.54 with the kink.
    np.testing.assert_allclose(left, right, atol=1e-10)


def test_a_run_is_saved_and_drawn(module, network, tmp_path, monkeypatch):
    records, saved = module("records"), tmp_path / "run.json"
    short = "--seconds=0.01 --every=5 --points 40 --hidden 4 --cpu-time"
    monkeypatch.setattr(
        "sys.argv", ["", "burgers", *short.split(), f"--save={saved}"]
    )
    records.main()
    run = json.loads(saved.read_text("utf-8"))
    assert (run["problem"], run["form"]) == ("burgers", "odd")
    assert (run["hidden"], run["points"]) == ([4], [40])
    assert run["rows"][0]["step"] == 5
    assert run["rows"][-1]["seconds"] >= 0.01
    # The start alone, −sin πx, is off by more than that.
    assert 0 < run["rows"][-1]["error"] < 1
    picture = tmp_path / "run.png"
    monkeypatch.setattr(
        "sys.argv", ["", "--plot", str(saved), f"--picture={picture}"]
    )
    records.main()
    assert min(image.imread(picture).shape[:2]) > 200


def test_a_run_of_another_optimizer_begins_with_adam(
    module, network, tmp_path, monkeypatch
):
    records, saved = module("records"), tmp_path / "run.json"
    short = (
        "burgers --form periodic --points 30 --hidden 4 --every 5 "
        "--optimizer ssbroyden --adam-steps 6 --resample-period 4 "
        f"--iterations 3 --save {saved}"
    )
    monkeypatch.setattr("sys.argv", ["", *short.split()])
    result = records.run(records.arguments())
    rows = json.loads(saved.read_text("utf-8"))["rows"]
    # Adam's before and after its points were drawn anew, then the solver's.
    assert [row["step"] for row in rows[:3]] == [4, 6, 11]
    assert ["iterations" in row for row in rows[:3]] == [False, False, True]
    assert rows[-1]["iterations"] >= 3
    assert result.evaluations == rows[-1]["step"] - 6


def test_a_deep_network_may_begin_as_one_of_its_first_layer(module, rng):
    layers = module("records").layers_of([9, 7, 6], spread=2.0, gain=1e-2)
    x = rng.normal(size=(20, 3))
    outputs = keras.Sequential([keras.Input((3,)), *layers])(x).numpy()
    first, *later = (layer.kernel.numpy() for layer in layers)
    features = np.tanh(x @ first + layers[0].bias.numpy())
    product = np.linalg.multi_dot(later)
    assert 0.1 < np.linalg.norm(product) < 1.1
    np.testing.assert_allclose(outputs, features @ product, atol=1e-3)
