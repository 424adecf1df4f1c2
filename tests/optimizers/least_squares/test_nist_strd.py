"""LevenbergMarquardt against NIST's certified parameters."""

import pytest

from keras_curvature.optimizers import LevenbergMarquardt
from tests.examples.helpers import loaded
from tests.optimizers.least_squares.helpers import fit


@pytest.fixture(scope="module")
def nist():
    """The module of the example, which holds the models."""
    return loaded("nist")


@pytest.mark.parametrize(
    "name",
    [
        "Bennett5",
        "BoxBOD",
        "Chwirut1",
        "Chwirut2",
        "DanWood",
        "ENSO",
        "Eckerle4",
        "Gauss1",
        "Gauss2",
        "Gauss3",
        "Hahn1",
        "Kirby2",
        "Lanczos1",
        "Lanczos2",
        "Lanczos3",
        "MGH09",
        "MGH10",
        "MGH17",
        "Misra1a",
        "Misra1b",
        "Misra1c",
        "Misra1d",
        "Nelson",
        "Rat42",
        "Rat43",
        "Roszman1",
        "Thurber",
    ],
)
def test_nist_parameters_are_right_to_ten_digits(name, nist, float64):
    problem = nist.read_problem(name)
    model = nist.Regression(nist.MODELS[name], len(problem.certified))
    model.compile(LevenbergMarquardt(), "mse")
    for start in problem.starts:
        # Weights moved by hand begin a new run.
        model.b.assign(start)
        fit(model, problem.x, problem.y, steps=300)
        assert nist.correct_digits(model, problem.certified) >= 10
        assert model.optimizer.stop_reason is not None
