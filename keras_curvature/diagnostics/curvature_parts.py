"""The Hessian as a sum of operators, that of the activations among them."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras

from keras_curvature._typing import Array, Data
from keras_curvature.diagnostics._notes import notes_on
from keras_curvature.diagnostics._without_bends import HessianWithoutBends
from keras_curvature.operators import CurvatureOperator, GaussNewton, Hessian


class CurvatureParts(NamedTuple):
    """H = `gauss_newton` + `activations` + `rest`: see `curvature_parts`.

    Attributes:
        hessian: H, a `CurvatureOperator` as all of them.
        gauss_newton: JᵀH_L·J.
        activations: What f″ of the activations adds.
        rest: What remains.

    Example:

    ```python
    import keras
    import numpy as np
    from keras_curvature.diagnostics import curvature_parts
    from keras_curvature.linalg import eigenpairs

    model = keras.Sequential(
        [
            keras.Input((2,)),
            keras.layers.Dense(3, "tanh"),
            keras.layers.Dense(1),
        ]
    )
    x = np.random.default_rng(0).normal(size=(20, 2))
    parts = curvature_parts(model, x, x[:, :1], loss="mse")
    eigenpairs(parts.activations, k=2, which="both").values
    ```
    """

    hessian: CurvatureOperator
    gauss_newton: CurvatureOperator
    activations: CurvatureOperator
    rest: CurvatureOperator


def curvature_parts(
    model: keras.Model,
    x: Data,
    y: Data | None = None,
    sample_weight: Array | None = None,
    **options: Any,
) -> CurvatureParts:
    """The Hessian of a model over a data set as the sum of three operators.

        H = JᵀH_L·J + A + R

    - JᵀH_L·J, the Gauss–Newton matrix, holds the curvature of the loss and
      only the slopes f′ of the activations.
    - A is H − H₀, H₀ the Hessian with f″ = 0 in all activations. It is 0 for
      ReLU, whose kinks have no curvature.
    - R is H₀ − JᵀH_L·J: what weights of several layers have in common, as
      their product in a linear network has (0 in the diagonal block of each
      layer unless it is used twice), what bends without being an elementwise
      activation (attention, normalization, recurrent layers), and the
      regularizers.

    Which functions count as activations says `activation_report`. Two belong
    to the loss and not to A: a sigmoid at the output of a binary cross-entropy
    and an exponential at that of `poisson`; a softmax is no elementwise
    function.

    Args:
        model, x, y, sample_weight: As for `operators.Hessian`.
        **options: As for `operators.Hessian`: `loss`, `loss_weights`,
            `layers`, `training`, `batch_size`, `jit_compile`, `verbose`.

    Returns:
        `CurvatureParts`.

    Example:

    ```python
    import keras
    import numpy as np
    from keras_curvature.diagnostics import curvature_parts

    model = keras.Sequential(
        [
            keras.Input((2,)),
            keras.layers.Dense(3, "relu"),
            keras.layers.Dense(1),
        ]
    )
    x = np.random.default_rng(0).normal(size=(20, 2))
    parts = curvature_parts(model, x, x[:, :1], loss="mse")
    parts.activations.to_dense()  # 0
    parts.rest.diagonal()  # 0
    ```

    References:
        Schraudolph, 2002, "Fast curvature matrix-vector products for
        second-order gradient descent", Neural Computation 14(7).
        Singh, Bachmann, Hofmann, 2021, "Analytic insights into structure and
        rank of neural network Hessian maps", arXiv 2106.16225.
    """
    hessian, without, gauss_newton = three_operators(
        model, x, y, sample_weight, **options
    )
    return CurvatureParts(
        hessian=hessian,
        gauss_newton=gauss_newton,
        activations=hessian - without,
        rest=without - gauss_newton,
    )


def three_operators(model, x, y, sample_weight, **options):
    """H, H₀ and JᵀH_L·J, which give all parts by differences."""
    data = (model, x, y, sample_weight)
    return (
        Hessian(*data, **options),
        HessianWithoutBends(*data, **options),
        GaussNewton(*data, **options),
    )


def notes_of(without):
    """Sentences on activations that are not in A, after a product."""
    return notes_on(without.left_out, without.seen)
