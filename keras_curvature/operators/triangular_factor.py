"""The triangular factor of a Gauss-Newton matrix, without forming it."""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf

from keras_curvature.losses.gauss_newton_form import gauss_newton_form
from keras_curvature.operators._sample_diagonal import (
    sample_jacobians,
    samples_held_at_once,
)
from keras_curvature.operators.gauss_newton import GaussNewton


@dataclasses.dataclass(frozen=True)
class TriangularFactor:
    """R and what is left of the residuals, of A = Q·R and the residuals r.

    A and r are those of a `keras_curvature.losses.GaussNewtonForm` of all
    data: AᵀA is the Gauss-Newton matrix, Aᵀr the gradient of the loss, and a
    mean squared error is ½‖r‖². All arrays are NumPy's, in float64.

    Attributes:
        factor: R, upper triangular, of shape `(n, n)`.
        rotated_residuals: Qᵀr, of shape `(n,)`: what a step of the weights
            could still change.
        residual_norm: Float, ‖r − Q·Qᵀr‖: what none could.
        rows: Int, the rows of A that count: outputs with a weight above zero.

    Example:

    ```python
    import keras
    import numpy as np
    from keras_curvature.operators import GaussNewton, triangular_factor

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    x = np.random.default_rng(0).normal(size=(20, 2)).astype("float32")
    found = triangular_factor(GaussNewton(model, x, x[:, :1], loss="mse"))
    found.rows, found.residual_norm  # 20, 0
    ```
    """

    factor: np.ndarray
    rotated_residuals: np.ndarray
    residual_norm: float
    rows: int


def triangular_factor(operator: GaussNewton) -> TriangularFactor:
    """The `TriangularFactor` of a `GaussNewton` operator.

    By QR factorizations that take one batch after the other, so that the
    condition number is that of A and not its square, and A is never held as a
    whole.

    Args:
        operator: `GaussNewton`.

    Returns:
        A `TriangularFactor`.

    Raises:
        ValueError: if the outputs of a sample have no fixed size, or depend on
            other samples; if the loss has no Gauss-Newton form, or is
            indefinite.

    Example:

    ```python
    import keras
    import numpy as np
    from keras_curvature.operators import GaussNewton, triangular_factor

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    x = np.random.default_rng(0).normal(size=(20, 3)).astype("float32")
    matrix = GaussNewton(model, x, x[:, :1], loss="mse")
    factor = triangular_factor(matrix).factor
    factor.T @ factor - matrix.to_dense().numpy()  # 0
    ```
    """
    survey = operator._passes.survey
    at_once = samples_held_at_once(survey, operator.shape[0])
    if at_once is None:
        raise ValueError(
            "A triangular factor needs a loss for each sample, and outputs of "
            "a fixed size. Received: losses that reduce the batch themselves, "
            f"or outputs of sizes {survey.widths} for each sample. Outputs of "
            "shape (batch,), and their targets, need an axis of their own, "
            "(batch, 1): Keras's losses take the mean over the last one. Or "
            "use the products of the operator."
        )
    rows = _Rows(operator)
    function = operator._compiled_method(rows.of_batch)
    size = operator.shape[0]
    triangle, count, difference = np.zeros((0, size + 1)), 0, 0.0
    for block, counted, apart, indefinite in operator._passes.each(
        function, lambda *_: [], at_once
    ):
        if indefinite:
            raise ValueError(
                "The loss must be a sum of squares to second order. Received: "
                "a loss that is not, as under a negative weight."
            )
        triangle = np.linalg.qr(
            np.concatenate([triangle, block.numpy().astype(float)]), mode="r"
        )
        count += int(counted)
        difference = max(difference, float(apart))
    if difference > operator._rounding:
        raise ValueError(
            "A triangular factor needs outputs that depend on one sample "
            "alone. Received: outputs of single samples that differ by "
            f"{difference:.1e} from those of the batch. Pass training=False "
            "where a layer takes statistics of the batch."
        )
    missing = size + 1 - len(triangle)
    triangle = np.pad(triangle, ((0, max(missing, 0)), (0, 0)))
    if not np.isfinite(triangle).all():
        raise ValueError(
            "Jacobian and residuals must be finite. Received: NaN or infinite "
            "numbers. Look at the data and the weights."
        )
    return TriangularFactor(
        triangle[:size, :size],
        triangle[:size, size],
        float(abs(triangle[size, size])),
        count,
    )


class _Rows:
    """The rows of A and r, batch by batch, for a `GaussNewton` operator."""

    def __init__(self, operator):
        self._operator = operator

    def of_batch(self, batch, share):
        """The part of the loss, and a list of

        the rows of A beside r, of shape `(rows, n + 1)`; how many of them
        count; by how much samples alone differ from the batch; whether the
        loss is indefinite.
        """
        operator = self._operator
        terms, _ = operator._linearized(batch, share)
        outputs = [term.output for term in terms]
        with tf.GradientTape() as tape:
            tape.watch(outputs)
            loss = operator._model_loss.value(terms)
        form = gauss_newton_form(terms, tape.gradient(loss, outputs))

        def outputs_fn(batch):
            predicted = operator._model_loss.outputs(batch[0])
            terms = operator._model_loss.terms(batch, predicted)
            return [term.output for term in terms]

        jacobians, difference = sample_jacobians(
            outputs_fn, batch, None, outputs, operator.variables
        )
        jacobian = tf.concat([tf.cast(j, operator.dtype) for j in jacobians], 2)
        rows = tf.reshape(form.push(jacobian), (-1, operator.shape[0]))
        residuals = tf.reshape(form.residuals, (-1, 1))
        return operator._loss_of(terms, batch, share), [
            tf.concat([rows, tf.cast(residuals, rows.dtype)], 1),
            tf.math.count_nonzero(form.scale),
            difference,
            form.is_indefinite,
        ]
