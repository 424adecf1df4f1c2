"""Checks the second derivatives of any model against central differences."""

import keras
import numpy as np
import tensorflow as tf

from keras_curvature._typing import Loss, Structure
from keras_curvature.autodiff.checking.double_precision import (
    default_float,
    double_precision_copy,
    double_precision_loss,
)
from keras_curvature.autodiff.checking.layer_checks import check_layers
from keras_curvature.autodiff.checking.objective import Objective
from keras_curvature.autodiff.checking.recorded_calls import (
    all_variables,
    recorded_calls,
)
from keras_curvature.autodiff.checking.report import SecondDerivativeReport
from keras_curvature.autodiff.repairs import SecondDerivativeError

_TOLERANCE = {"float64": 1e-6, "float32": 1e-2}


def check_second_derivatives(
    model: keras.Model,
    x: Structure,
    y: Structure = None,
    loss: Loss | None = None,
    training: bool = True,
    tolerance: float | None = None,
    seed: int = 0,
) -> SecondDerivativeReport:
    """Compares Hessian products of a model with central differences.

    For a random direction v,

        H·v  against  (g(w + h·v) − g(w − h·v)) / 2h,  g = ∂L/∂w

    with h chosen by Richardson extrapolation, for the loss of the whole model
    and for each layer by itself, at the inputs that it has in the model. A
    custom layer or a `tf.custom_gradient` whose gradient is right may still
    have a wrong second derivative; the report names the layer.

    The computation is done in a float64 copy of the model where its config
    and its operations allow it. Weights, moving statistics and seeds of the
    model are left as they were.

    Args:
        model: A built `keras.Model`.
        x: Inputs of one batch, as for `model.fit`. A few samples do.
        y: Targets. Defaults to `None`.
        loss: Keras loss, its name, or a callable of (y, y_pred). Defaults to
            the loss that the model is compiled with.
        training: Whether layers run in training mode. Defaults to `True`.
        tolerance: Relative error that passes. Defaults to 1e-6 in float64 and
            1e-2 in float32, or ten times what central differences resolve.
        seed: Int, of the direction. Defaults to `0`.

    Returns:
        A `SecondDerivativeReport`; `print` it.

    Raises:
        ValueError: if the model is not built or there is no loss.

    Example:

    ```python
    import keras
    import numpy as np
    from keras_curvature.autodiff import check_second_derivatives

    model = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(4),
            keras.layers.LayerNormalization(),
            keras.layers.Dense(1),
        ]
    )
    x, y = np.random.rand(8, 3), np.random.rand(8, 1)
    print(check_second_derivatives(model, x, y, loss="mse"))
    ```
    """
    _refuse_incomplete(model, loss)
    notes: list[str] = []
    try:
        with default_float("float64"):
            copy = double_precision_copy(model, _tensors(x, "float64"))
            compute_loss = _loss_function(copy, double_precision_loss(loss))
            check = _Check(copy, compute_loss, x, y, training, "float64", seed)
            return check.report(tolerance, notes)
    except Exception as error:  # Whatever a config or a kernel raises.
        reason = (str(error).strip().splitlines() or [""])[0][:200]
        notes.append(
            "computed in float32, because a float64 copy of the model failed: "
            f"{type(error).__name__}: {reason}"
        )
    compute_loss = _loss_function(model, loss)
    check = _Check(model, compute_loss, x, y, training, "float32", seed)
    return check.report(tolerance, notes)


def _refuse_incomplete(model, loss):
    if not model.built:
        raise ValueError(
            "`model` must be built. Received: a model without weights. Call "
            "it on a batch, or `build` it, first."
        )
    if loss is None and not getattr(model, "compiled", False):
        raise ValueError(
            "`loss` must be given for a model that is not compiled. Received: "
            'None. Pass for example loss="mse".'
        )


def _loss_function(model, loss):
    """A callable of (x, y, outputs), regularizers included."""
    if loss is None:
        return lambda x, y, outputs: model.compute_loss(
            x=x, y=y, y_pred=outputs
        )
    loss = keras.losses.get(loss)
    return lambda x, y, outputs: (
        tf.reduce_mean(loss(y, outputs)) + sum(model.losses)
    )


def _tensors(data, dtype):
    """Arrays as tensors, those of floating point in this dtype."""

    def tensor(array):
        array = tf.convert_to_tensor(array)
        return tf.cast(array, dtype) if array.dtype.is_floating else array

    return tf.nest.map_structure(tensor, data)


class _Check:
    """The check of one model in one precision."""

    def __init__(self, model, compute_loss, x, y, training, dtype, seed):
        self.model, self.dtype, self.seed = model, dtype, seed
        self.training = training
        self.x, self.y = _tensors(x, dtype), _tensors(y, dtype)
        self.compute_loss = compute_loss

    def _loss(self):
        outputs = self.model(self.x, training=self.training)
        return tf.convert_to_tensor(self.compute_loss(self.x, self.y, outputs))

    def report(self, tolerance, notes):
        with recorded_calls(self.model) as calls:
            state = all_variables(self.model)
            objective = Objective(
                self._loss,
                self.model.trainable_variables,
                state,
                self.dtype,
                self.seed,
            )
        truth, resolution = objective.gradient_along()
        size = np.abs(truth).max() or 1.0
        resolution /= size
        if tolerance is None:
            tolerance = max(_TOLERANCE[self.dtype], 10 * resolution)
        error, problem = _largest_error(objective, truth, size)
        layers, guilty = check_layers(
            list(calls.values()), state, self.dtype, self.seed, tolerance
        )
        slope, _ = objective.value_along()
        return SecondDerivativeReport(
            error=error,
            gradient_error=abs(objective.slope() - float(slope))
            / max(abs(float(slope)), 1e-12),
            resolution=resolution,
            tolerance=tolerance,
            layers=layers,
            guilty=guilty,
            dtype=self.dtype,
            problem=problem,
            notes=notes,
        )


def _largest_error(objective, truth, size):
    """The larger error of the two ways, and the text of a refusal."""
    errors = []
    for product in (objective.product_by_graph, objective.product_by_tapes):
        try:
            errors.append(float(np.abs(product() - truth).max() / size))
        except SecondDerivativeError as error:
            return None, str(error)
    return float(np.max(errors)), ""
