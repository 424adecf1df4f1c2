"""The examples of the solvers run and leave what they promise."""

import importlib.util
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from matplotlib import image

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"
TINY = {
    "curve_fitting.py": ["--seconds=0.1", "--points=200"],
    "nist.py": ["--steps=20", "--problems", "Misra1a", "DanWood"],
    "pinn_poisson.py": ["--seconds=0.1", "--points=5", "--units=4"],
    "pinn_burgers.py": ["--seconds=0.1", "--points=50", "--units=4"],
}


def run(script, *options):
    command = [sys.executable, EXAMPLES / script, *options]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize("script", TINY)
def test_example_compares_with_adam_in_a_table_and_a_plot(script, tmp_path):
    printed = run(script, *TINY[script], f"--plots={tmp_path}")
    plot = tmp_path / script.replace(".py", ".png")
    for name in ("LevenbergMarquardt", "Adam"):
        assert name in printed
    assert str(plot) in printed
    pixels = image.imread(plot)
    assert min(pixels.shape[:2]) > 400
    assert pixels.std() > 0.05


def test_every_solver_can_be_chosen(tmp_path):
    solvers = ("gauss_newton", "lbfgs", "newton_cg")
    printed = run(
        "pinn_poisson.py",
        *TINY["pinn_poisson.py"],
        f"--plots={tmp_path}",
        "--optimizers",
        *solvers,
    )
    for name in ("GaussNewton", "LBFGS", "NewtonCG"):
        assert name in printed


def test_burgers_reference_solves_the_equation(monkeypatch):
    """u_t + u·u_x = ν·u_xx by central differences, before the shock."""
    monkeypatch.syspath_prepend(EXAMPLES)
    spec = importlib.util.spec_from_file_location(
        "pinn_burgers", EXAMPLES / "pinn_burgers.py"
    )
    burgers = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(burgers)
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
