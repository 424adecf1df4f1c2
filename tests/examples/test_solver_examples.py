"""The examples of the solvers run and leave what they promise."""

import re
import sys

import keras
import numpy as np
import pytest

import keras_curvature
from tests.examples.helpers import EXAMPLES, check_plot, loaded, run

SOLVERS = {
    "levenberg_marquardt": "LevenbergMarquardt",
    "gauss_newton": "GaussNewton",
    "lbfgs": "LBFGS",
    "newton_cg": "NewtonCG",
}
TINY = {
    "curve_fitting.py": ["--seconds=0.1", "--points=200"],
    "nist.py": ["--steps=20", "--problems", "Misra1a", "DanWood"],
    "pinn_poisson.py": [
        "--seconds=0.1",
        "--points=5",
        "--units=4",
        "--optimizers",
        *SOLVERS,
        "adam",
    ],
    "pinn_burgers.py": ["--seconds=0.1", "--points=50", "--units=4"],
    "by_the_clock.py": ["--seconds=0.1", "--seeds=1", "--cpu-time"],
}


@pytest.mark.parametrize("script", TINY)
def test_example_compares_with_adam_in_a_table_and_a_plot(script, tmp_path):
    printed = run(script, *TINY[script], f"--plots={tmp_path}")
    plot = tmp_path / script.replace(".py", ".png")
    names = ["LevenbergMarquardt", "Adam"]
    if script == "pinn_poisson.py":
        names += SOLVERS.values()
    if script == "by_the_clock.py":
        names += ["LBFGS", "Winner: "]
    for name in names:
        assert name in printed
    assert str(plot) in printed
    check_plot(plot)


def test_the_inverse_problem_finds_its_coefficient(tmp_path):
    printed = run(
        "inverse_problem.py",
        "--units=8",
        "--points=100",
        "--steps=60",
        f"--plots={tmp_path}",
    )
    found = re.search(r"k = (\S+), true 0.1", printed)
    # As well as sixty steps of a small network can.
    assert abs(float(found[1]) - 0.1) < 0.01
    check_plot(tmp_path / "inverse_problem.png")


def module(name, monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    return loaded(name)


@pytest.mark.parametrize("name", SOLVERS)
def test_training_ends_where_a_solver_has_converged(
    name, monkeypatch, capsys, float64
):
    solvers = module("_solvers", monkeypatch)
    x = np.linspace(-1, 1, 20)[:, None]

    def make_model():
        return keras_curvature.Sequential(
            [keras.Input((1,)), keras.layers.Dense(1)]
        )

    def error(model):
        kernel, bias = (w.numpy().item() for w in model.weights)
        return max(abs(kernel - 3), abs(bias - 1))

    # A minute: far more than the step takes that solves it.
    model, rows = solvers.train(
        make_model, name, (x, 3 * x + 1), error, 60.0, chunk=5
    )
    assert model.optimizer.converged
    assert len(rows) < 20
    assert rows[-1][2] == error(model) < 1e-7
    assert str(model.optimizer.stop_reason) in capsys.readouterr().out


def test_burgers_reference_solves_the_equation(monkeypatch):
    """u_t + u·u_x = ν·u_xx by central differences, before the shock."""
    burgers = module("pinn_burgers", monkeypatch)
    x, h = np.linspace(-0.9, 0.9, 19), 1e-3

    def u(t, x):
        return burgers.reference(np.full_like(x, t), x)

    u_t = (u(0.2 + h, x) - u(0.2 - h, x)) / (2 * h)
    u_x = (u(0.2, x + h) - u(0.2, x - h)) / (2 * h)
    u_xx = (u(0.2, x + h) - 2 * u(0.2, x) + u(0.2, x - h)) / h**2
    residual = u_t + u(0.2, x) * u_x - burgers.VISCOSITY * u_xx
    # The error of the differences is h²·u_xxx, of order 1e-6·100.
    np.testing.assert_allclose(residual, 0, atol=5e-4)
    np.testing.assert_allclose(u(1e-9, x), -np.sin(np.pi * x), atol=1e-6)


def test_error_bars_are_the_certified_ones(tmp_path):
    printed = run("error_bars.py", f"--plots={tmp_path}")
    rows = re.findall(r"^b\[\d\] +(\S+) +(\S+) +(\S+) +(\S+)$", printed, re.M)
    _, errors, scipy_errors, certified = np.array(rows, float).T
    np.testing.assert_allclose(errors, certified, rtol=1e-8)
    np.testing.assert_allclose(scipy_errors, certified, rtol=1e-4)
    check_plot(tmp_path / "error_bars.png")


def test_uncertainty_is_larger_for_what_is_no_digit(tmp_path):
    printed = run(
        "uncertainty.py", "--steps=30", "--epochs=15", f"--plots={tmp_path}"
    )
    rows = re.findall(r"^([a-z ]+?)  +(\S+) +(0\.\d+)$", printed, re.M)
    laplace = {name: float(confidence) for name, _, confidence in rows}
    digits = laplace.pop("digits")
    assert len(laplace) == 3
    assert max(laplace.values()) < digits
    check_plot(tmp_path / "uncertainty.png")


def test_wrong_labels_come_first(tmp_path):
    printed = run("mislabeled.py", f"--plots={tmp_path}")
    (row,) = re.findall(
        r"^self-influence +(\d+)% +(\d+)% +(\d+)%", printed, re.M
    )
    # Of all wrong labels, in the first 15 % of the images.
    assert int(row[2]) >= 80
    check_plot(tmp_path / "mislabeled.png")


def test_consolidated_weights_remember_more_than_fine_tuned_ones(
    tmp_path, monkeypatch, capsys
):
    # In this process, since to import TensorFlow takes half as long as this.
    options = ["--seeds=1", "--epochs=10", "--tasks=2", f"--plots={tmp_path}"]
    monkeypatch.setattr(sys, "argv", ["continual_learning.py", *options])
    loaded("continual_learning").main()
    printed, errors = capsys.readouterr()
    assert errors == ""
    check_plot(tmp_path / "continual_learning.png")
    means = {
        name: float(mean)
        for name, mean in re.findall(
            r"^(fine-tuning|EWC, \w+|jointly \(ceiling\)) +(\S+)%",
            printed,
            re.M,
        )
    }
    assert len(means) == 4
    plain = means.pop("fine-tuning")
    assert all(mean > plain for mean in means.values())
