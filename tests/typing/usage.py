"""What a type checker says of a user's script; mypy reads it, nothing runs it.

`make lint` checks it with the options of `mypy --strict`. A wrong use carries
`type: ignore` with the error that has to be reported; mypy complains of those
that it has no use for.
"""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from matplotlib.axes import Axes
from numpy.typing import NDArray
from typing_extensions import assert_type

import keras_curvature
from keras_curvature import constraints, diagnostics, layers, linalg, losses
from keras_curvature.autodiff import (
    check_second_derivatives,
    exact_derivatives,
    hessian_vector_product,
)
from keras_curvature.callbacks import CurvatureMonitor
from keras_curvature.operators import CurvatureOperator, GaussNewton, Hessian
from keras_curvature.optimizers import LBFGS, LevenbergMarquardt, StopReason
from keras_curvature.plots import plot_eigenvalues
from keras_curvature.report import CurvatureReport, curvature_report
from keras_curvature.training import SolveResult, uniform_points
from keras_curvature.uncertainty import (
    Laplace,
    ParameterErrors,
    Prediction,
    parameter_covariance,
)


def train(x: NDArray[Any], y: NDArray[Any]) -> float:
    model = keras_curvature.Sequential(
        [keras.Input((1,)), keras.layers.Dense(1), layers.Tanh()]
    )
    optimizer = LevenbergMarquardt("qr", scaling="identity", slice_size=8)
    model.compile(optimizer, loss=losses.Cauchy(scale=0.5))
    result = keras_curvature.solve(model, x, y, max_steps=5, errors=True)
    assert_type(result, SolveResult)
    assert_type(result.converged, bool)
    assert_type(result.history["loss"], list[float])
    assert_type(result.stop_reason, StopReason | None)
    assert_type(result.errors, ParameterErrors | None)
    assert_type(optimizer.progress, dict[str, float])
    print(result.errors.covariance)  # type: ignore[union-attr]
    keras_curvature.solve(model, x, y, steps=5)  # type: ignore[call-arg]
    LBFGS(line_search="wolfe")  # type: ignore[arg-type]
    LevenbergMarquardt("lu")  # type: ignore[arg-type]
    constraints.Box(lower=0.0, upper=[1.0, 2.0])
    curve = keras_curvature.Curve(
        lambda x, a: a * x, {"a": 1}, bounds={"a": (0, None)}
    )
    assert_type(curve.parameters, dict[str, float])
    keras_curvature.Curve(keras.ops.exp, [1.0])  # type: ignore[arg-type]
    return result.loss


def look(model: keras.Model, x: tf.Tensor, y: tf.Tensor) -> CurvatureReport:
    hessian = Hessian(model, x, y, layers=["dense*"], batch_size=32)
    rest = 2 * hessian - GaussNewton(model, x, y)
    assert_type(rest, CurvatureOperator)
    assert_type(rest.block("dense").inverse(damping=0.1), CurvatureOperator)
    assert_type(hessian.shape, tuple[int, int])
    pairs = linalg.eigenpairs(hessian, k=2, which="both")
    assert_type(pairs, linalg.Eigenpairs)
    assert_type(plot_eigenvalues(pairs), Axes)
    assert_type(linalg.trace(np.eye(3)).value, float)
    linalg.trace(hessian, method="hutchison")  # type: ignore[arg-type]
    linalg.trace([[1.0]])  # type: ignore[arg-type]
    linalg.eigenpairs(hessian, k="2")  # type: ignore[arg-type]
    hessian + 1  # type: ignore[operator]
    split = diagnostics.curvature_split(model, x, y, probes=10)
    assert_type(split.total.trace_share("rest"), float | None)
    assert_type(check_second_derivatives(model, x, y).passed, bool)
    with exact_derivatives():
        products = hessian_vector_product(
            lambda: tf.reduce_sum(x), model.trainable_variables, [x]
        )
    assert_type(len(products), int)
    monitor = CurvatureMonitor(x, y, every_steps=10)
    assert_type(monitor.history["step"], list[float])
    report = curvature_report(model, x, y)
    report.save("report.html")
    print(report.sharpnes)  # type: ignore[attr-defined]
    return report


def doubt(model: keras.Model, x: tf.data.Dataset) -> Prediction:
    errors = parameter_covariance(model, x)
    lower, upper = errors.confidence_band(uniform_points(5, [0], [1]))
    assert_type(lower.ndim + upper.ndim, int)
    Laplace(model, structure="diag")  # type: ignore[arg-type]
    posterior = Laplace(model, structure="kron").fit(x)
    assert_type(posterior, Laplace)
    assert_type(posterior.tune(per_layer=True), float)
    return posterior.predict(np.ones((3, 1)), link="probit")


@losses.register_loss("log_cosh")
class LogCosh(losses.PointwiseLoss):
    def curvature(self, error: tf.Tensor, term: losses.LossTerm) -> tf.Tensor:
        return 1 - tf.tanh(error) ** 2


assert_type(LogCosh(), LogCosh)


def step(system: linalg.LeastSquaresSystem) -> linalg.DampedFactor:
    rows = linalg.NormalEquations.from_rows(tf.eye(2), tf.ones(2))
    linalg.trust_region_step(rows, 1.0, 0.0)
    linalg.trust_region_step(0.0, 1.0, 0.0)  # type: ignore[arg-type]
    return linalg.trust_region_step(system, 1.0, 0.0)
