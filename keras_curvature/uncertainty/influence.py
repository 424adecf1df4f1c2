"""What single training samples do to a model."""

from typing import Literal

import keras
import numpy as np

from keras_curvature._checks import (
    checked_choice,
    checked_flag,
    checked_number,
)
from keras_curvature._typing import Data, Layers
from keras_curvature.linalg.conjugate_gradient import NotPositiveDefinite
from keras_curvature.operators.gauss_newton import GaussNewton
from keras_curvature.operators.hessian import Hessian
from keras_curvature.uncertainty._arguments import refuse_other_targets
from keras_curvature.uncertainty._fit import fit
from keras_curvature.uncertainty._likelihoods import (
    likelihood_of,
    summed_loss,
)
from keras_curvature.uncertainty._posteriors import STRUCTURES
from keras_curvature.uncertainty._rows import DenseRows
from keras_curvature.uncertainty._sample_gradients import sample_gradients


def influence(
    model: keras.Model,
    x: Data,
    y: Data,
    test_x: Data,
    test_y: Data,
    *,
    damping: float,
    curvature: Literal["gauss_newton", "hessian"] = "gauss_newton",
    each: bool = False,
    layers: Layers | None = None,
    batch_size: int = 256,
    tolerance: float | None = None,
    max_iterations: int = 1000,
) -> np.ndarray:
    """How the test loss changes when a training sample is left out.

        ΔL ≈ (1/N)·∇L_testᵀ·(G + damping·I)⁻¹·∇ℓᵢ

    to first order, for each of the N training samples with the loss ℓᵢ; G is
    the Gauss-Newton matrix of their mean loss, or the Hessian of that and of
    the regularizers. Above 0: the sample helps. Conjugate gradients take
    products with G, batch after batch; the gradients of samples stream too.

    Args:
        model: `keras.Model`, trained, and compiled with `mean_squared_error`
            or a crossentropy.
        x: Training inputs: array, list or dict of arrays.
        y: Training targets, array.
        test_x: Inputs whose loss is asked about.
        test_y: Their targets.
        damping: Float ≥ 0, and > 0 for a Gauss-Newton matrix, added to the
            eigenvalues of G. For that 2λ with `keras.regularizers.L2(λ)` on
            all weights; otherwise some thousandths of the largest eigenvalue.
        curvature: `"gauss_newton"`, or `"hessian"`, which is exact to first
            order and must be positive definite, as at a minimum. Defaults to
            `"gauss_newton"`.
        each: Bool, the loss of each test sample alone, and not their mean.
            Defaults to `False`.
        layers: Names of layers or patterns whose weights count. Defaults to
            all.
        batch_size: Int. Defaults to 256.
        tolerance: Float > 0, of conjugate gradients: see
            `CurvatureOperator.inverse`.
        max_iterations: Int ≥ 1, of these. Defaults to 1000.

    Returns:
        Array of shape `(N,)`, or `(N, test samples)` for `each`.

    Raises:
        ValueError: for a loss that is no likelihood, a Hessian that is not
            positive definite, and other arguments by name.

    Example:

    ```python
    import keras
    import numpy as np
    from keras_curvature.uncertainty import influence

    rng = np.random.default_rng(0)
    x = rng.normal(size=(50, 2))
    y = (x[:, 0] > 0).astype(int)
    y[0] = 1 - y[0]
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.1), loss)
    model.fit(x, y, epochs=20, verbose=0)
    effect = influence(model, x, y, x[1:], y[1:], damping=0.01)
    effect.argmin()  # 0: without it the others are predicted better
    ```

    References:
        Koh, Liang, 2017, "Understanding black-box predictions via influence
        functions", ICML.
    """
    checked_choice("curvature", curvature, ("gauss_newton", "hessian"))
    limit = {"minimum" if curvature == "hessian" else "above": 0}
    damping = checked_number("damping", damping, **limit)
    checked_flag("each", each)
    loss = summed_loss(model)
    operator, share = _curvature(
        curvature, model, x, y, loss, layers=layers, batch_size=batch_size
    )
    _refuse_repeated(loss, operator, y, test_y)
    samples, variables = operator.samples, operator.variables
    tests = np.concatenate(
        list(sample_gradients(model, loss, test_x, test_y, variables))
    )
    if not each:
        tests = tests.mean(0, keepdims=True)
    inverse = (operator * share).inverse(
        damping, tolerance=tolerance, max_iterations=max_iterations
    )
    try:
        solved = np.asarray(inverse @ tests.T, float)
    except NotPositiveDefinite as error:
        raise ValueError(
            f"The curvature must be positive definite with {damping=}, as the "
            "Hessian is at a minimum. Received: a model at a point where it "
            "is not. Train on, for instance with keras_curvature.solve, raise "
            '`damping`, or take curvature="gauss_newton".'
        ) from error
    effects = [
        rows @ solved for rows in sample_gradients(model, loss, x, y, variables)
    ]
    effects = np.concatenate(effects) / samples
    return effects if each else effects[:, 0]


def _refuse_repeated(loss, operator, *targets):
    """Raises for targets that Keras would repeat for each output."""
    width = [1, *operator.output_shapes[0]][-1]
    if likelihood_of(loss, width).compares_entries:
        for y in targets:
            refuse_other_targets(y, operator)


def _curvature(kind, model, x, y, loss, **options):
    """The operator, and by what it is multiplied for the mean loss."""
    if kind == "gauss_newton":
        operator = GaussNewton(model, x, y, loss=loss, **options)
        return operator, 1 / operator.samples
    # Of the mean itself, which regularizers are added to.
    config = loss.get_config() | {"reduction": "sum_over_batch_size"}
    loss = type(loss).from_config(config)
    return Hessian(model, x, y, loss=loss, **options), 1.0


def self_influence(
    model: keras.Model,
    x: Data,
    y: Data,
    *,
    damping: float,
    structure: Literal["full", "kron", "diagonal", "low_rank"] = "full",
    rank: int = 50,
    layers: Layers | None = None,
    batch_size: int = 256,
) -> np.ndarray:
    """How much each training sample pulls the model to itself.

        ∇ℓᵢᵀ·(G + damping·I)⁻¹·∇ℓᵢ

    the change of a sample's loss when it is left out, times the number of
    samples. Mislabeled and unusual samples come out largest.

    Args:
        model: As for `influence`.
        x: Training inputs: array, list or dict of arrays.
        y: Training targets, array.
        damping: As for `influence`.
        structure: `"full"`, `"kron"`, `"diagonal"` or `"low_rank"`, what is
            kept of G. Defaults to `"full"`, n² numbers for n weights.
        rank: Int, the eigenvalues kept by `"low_rank"`. Defaults to 50.
        layers: Names of layers or patterns whose weights count. Defaults to
            all.
        batch_size: Int. Defaults to 256.

    Returns:
        Array of shape `(N,)`, ≥ 0.

    Raises:
        ValueError: as `influence`.

    Example:

    ```python
    import keras
    import numpy as np
    from keras_curvature.uncertainty import self_influence

    rng = np.random.default_rng(0)
    x = rng.normal(size=(50, 2))
    y = (x[:, 0] > 0).astype(int)
    y[0] = 1 - y[0]
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.1), loss)
    model.fit(x, y, epochs=20, verbose=0)
    self_influence(model, x, y, damping=0.01).argmax()  # 0
    ```
    """
    damping = checked_number("damping", damping, above=0)
    checked_choice("structure", structure, STRUCTURES)
    loss = summed_loss(model)
    found = fit(
        model,
        (x, y),
        loss,
        layers,
        STRUCTURES[structure],
        rank=rank,
        batch_size=batch_size,
    )
    samples = found.count // found.outputs
    scale = 1 / (samples * found.likelihood.factor)
    normal = found.structure.at(scale, np.full(len(found.values), damping))
    return np.concatenate(
        [
            normal.covariance(DenseRows(rows[:, np.newaxis]))[:, 0, 0]
            for rows in sample_gradients(model, loss, x, y, found.variables)
        ]
    )
