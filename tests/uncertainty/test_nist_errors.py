"""Standard errors against NIST's certified standard deviations."""

import re

import numpy as np
import pytest

import keras_curvature
from keras_curvature.optimizers import LevenbergMarquardt
from keras_curvature.uncertainty import parameter_covariance
from tests.examples.helpers import EXAMPLES, loaded

NAMES = sorted(p.stem for p in (EXAMPLES / "data" / "nist_strd").glob("*.dat"))


@pytest.fixture(scope="module")
def nist():
    """The module of the example, which holds the models."""
    return loaded("nist")


def certified_errors(path):
    """Standard deviations of the parameters, and that of the residuals."""
    text = path.read_text()
    errors = re.findall(r"^\s*b\d+\s*=.*?(\S+)\s*$", text, re.MULTILINE)
    residual = re.search(r"Residual Standard Deviation:\s*(\S+)", text)[1]
    return np.array(errors, float), float(residual)


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"Lanczos1"}))
def test_standard_errors_are_nist_s(name, nist, float64):
    problem = nist.read_problem(name)
    errors, residual = certified_errors(nist.DATA / f"{name}.dat")
    model = nist.Regression(nist.MODELS[name], len(errors))
    model.compile(loss="mse")
    model.b.assign(problem.certified)
    found = parameter_covariance(model, problem.x, problem.y)
    np.testing.assert_allclose(found.standard_errors, errors, rtol=1e-6)
    np.testing.assert_allclose(
        found.residual_standard_error, residual, rtol=1e-6
    )


def test_residuals_near_rounding_give_errors_to_their_own_digits(nist, float64):
    # The residuals of Lanczos1 are 9e-14 of values near 1, so that a float64
    # holds three digits of them, and eleven digits of the weights are too few.
    problem = nist.read_problem("Lanczos1")
    errors, residual = certified_errors(nist.DATA / "Lanczos1.dat")
    model = nist.Regression(nist.MODELS["Lanczos1"], len(errors))
    model.compile(LevenbergMarquardt(), "mse")
    model.b.assign(problem.certified)
    keras_curvature.solve(model, problem.x, problem.y, verbose=0)
    found = parameter_covariance(model, problem.x, problem.y)
    np.testing.assert_allclose(found.standard_errors, errors, rtol=1e-3)
    np.testing.assert_allclose(
        found.residual_standard_error, residual, rtol=1e-3
    )
