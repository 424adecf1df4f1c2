"""The loss on a line or a plane through the weights."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from keras_curvature._checks import checked_integer, checked_number
from keras_curvature._typing import Array, Data
from keras_curvature.operators.data_pass import DataPass


class LossLandscape(NamedTuple):
    """Losses on a line or a plane through the weights of a model.

    Attributes:
        coordinates: Tuple of one or two arrays of shape (points,): multiples
            of each direction.
        losses: Array of shape (points,) or (points, points), the first axis
            being that of the first direction.
        loss: Float, the loss at the weights themselves.

    Example:

    ```python
    import numpy as np
    from keras_curvature.diagnostics import LossLandscape
    from keras_curvature.plots import plot_loss_landscape

    a = np.linspace(-1, 1, 11)
    plot_loss_landscape(LossLandscape((a,), a**2, 0.0))
    ```
    """

    coordinates: tuple[np.ndarray, ...]
    losses: np.ndarray
    loss: float


def loss_landscape(
    model: keras.Model,
    x: Data,
    y: Data | None = None,
    sample_weight: Array | None = None,
    *,
    directions: Array,
    distance: float = 1.0,
    points: int = 21,
    **options: Any,
) -> LossLandscape:
    """The loss at w + a·d, or at w + a·d₁ + b·d₂, for a grid of numbers.

    Directions may be eigenvectors of the Hessian, along which the loss is
    L + ½·λ·a² at a minimum, or random ones: see
    `filter_normalized_directions`. The model has its weights back afterwards.

    Args:
        model, x, y, sample_weight: As for `operators.Hessian`.
        directions: One or two directions: a tensor of shape `(n,)`, `(n, 1)`
            or `(n, 2)`, such as `eigenpairs(...).vectors`.
        distance: Float > 0: a and b go from −distance to distance. Defaults
            to 1, in lengths of the directions.
        points: Int ≥ 2, numbers a, and as many b. An odd number has w itself
            among them. Each point takes a forward pass. Defaults to 21.
        **options: `loss`, `loss_weights`, `training` and `batch_size`, as for
            `operators.Hessian`.

    Returns:
        `LossLandscape`.

    Raises:
        ValueError: if the directions do not fit the weights, and as for
            `operators.Hessian`.

    Example:

    ```python
    import keras
    import numpy as np
    from keras_curvature.diagnostics import loss_landscape
    from keras_curvature.linalg import eigenpairs
    from keras_curvature.operators import Hessian

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(loss="mse")
    x = np.random.default_rng(0).normal(size=(20, 2))
    pairs = eigenpairs(Hessian(model, x, x[:, :1]), k=2)
    line = loss_landscape(
        model, x, x[:, :1], directions=pairs.vectors[:, 0], points=5
    )
    line.losses  # of shape (5,)
    ```

    References:
        Goodfellow, Vinyals, Saxe, 2015, "Qualitatively characterizing neural
        network optimization problems", arXiv 1412.6544.
    """
    distance = checked_number("distance", distance, above=0)
    checked_integer("points", points, minimum=2)
    data = DataPass(model, x, y, sample_weight, **options)
    directions = _checked(directions, data.vectors)
    numbers = np.linspace(-distance, distance, points)
    grid = np.stack(
        np.meshgrid(*[numbers] * directions.shape[1], indexing="ij"), -1
    )
    start = [tf.identity(v.value) for v in data.variables]
    center = data.vectors.flatten(start)
    try:
        loss = data.loss()
        losses = np.empty(grid.shape[:-1])
        for index in np.ndindex(losses.shape):
            step = tf.linalg.matvec(
                directions, tf.constant(grid[index], directions.dtype)
            )
            moved = data.vectors.unflatten(center + step)
            _assign(data.variables, moved)
            losses[index] = data.loss()
    finally:
        _assign(data.variables, start)
    return LossLandscape((numbers,) * directions.shape[1], losses, loss)


def _checked(directions, vectors):
    """The directions as a tensor of shape (n, 1) or (n, 2)."""
    tensor = tf.cast(tf.convert_to_tensor(directions), vectors.dtype)
    if tensor.shape.rank == 1:
        tensor = tensor[:, tf.newaxis]
    if tensor.shape.rank != 2 or tensor.shape[1] not in (1, 2):
        problem = f"shape {tuple(tensor.shape)}"
    elif tensor.shape[0] != vectors.size:
        problem = (
            f"{tensor.shape[0]} entries for the {vectors.size} trainable "
            "weights of the model"
        )
    elif not np.isfinite(tensor.numpy()).all():
        problem = "NaN or infinite entries"
    else:
        return tensor
    raise ValueError(
        "`directions` must be a finite tensor of shape (n,), (n, 1) or (n, 2), "
        f"n being the number of trainable weights. Received: {problem}."
    )


def _assign(variables, values):
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
