"""Random directions in the space of the weights."""

import keras
import numpy as np
import tensorflow as tf

from keras_curvature._checks import checked_integer


def filter_normalized_directions(
    model: keras.Model, *, count: int = 2, seed: int = 0
) -> tf.Tensor:
    """Random directions in which every filter moves by its own length.

        d ← d · ‖w‖ / ‖d‖  for the weights w of each filter

    A filter is what leads to one output: a column of the kernel of a dense
    layer, the kernel of one channel of a convolution, the vector of one entry
    of an embedding. Biases and the scales of normalization layers do not move.
    So landscapes do not depend on how the weights of one layer are scaled
    against those of the next, and may be compared between models.

    Args:
        model: A built `keras.Model`.
        count: Int ≥ 1, directions. Defaults to 2.
        seed: Int ≥ 0. Defaults to 0.

    Returns:
        Tensor of shape `(n, count)`, each column in the order of
        `model.trainable_variables`, as `operators` have it.

    Raises:
        ValueError: if the model is not built, or has no filters.

    Example:

    ```python
    import keras
    import numpy as np
    from keras_curvature.diagnostics import (
        filter_normalized_directions,
        loss_landscape,
    )

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    x = np.random.default_rng(0).normal(size=(20, 2))
    landscape = loss_landscape(
        model,
        x,
        x[:, :1],
        directions=filter_normalized_directions(model),
        points=5,
        loss="mse",
    )
    landscape.losses  # of shape (5, 5)
    ```

    References:
        Li, Xu, Taylor, Studer, Goldstein, 2018, "Visualizing the loss
        landscape of neural nets", arXiv 1712.09913, section 4.
    """
    checked_integer("count", count, minimum=1)
    checked_integer("seed", seed, minimum=0)
    variables = model.trainable_variables
    if not any(len(v.shape) > 1 for v in variables):
        raise ValueError(
            "`model` must have kernels or embeddings that are trainable. "
            f"Received: {model.name}, which has none. Build it, and look for "
            "layers with trainable=False."
        )
    random = np.random.default_rng(seed)
    columns = [
        np.concatenate([_direction(v, random).ravel() for v in variables])
        for _ in range(count)
    ]
    dtype = max(
        (keras.backend.standardize_dtype(v.dtype) for v in variables),
        key=lambda name: np.finfo(tf.as_dtype(name).as_numpy_dtype).bits,
    )
    return tf.constant(np.stack(columns, 1), dtype)


def _direction(variable, random):
    direction = random.normal(size=tuple(variable.shape))
    if direction.ndim < 2:
        return np.zeros_like(direction)
    axes = _axes_of_a_filter(variable)
    weights = variable.numpy().astype("float64")
    lengths, own = (
        np.sqrt(np.sum(array**2, axes, keepdims=True))
        for array in (direction, weights)
    )
    return direction * own / lengths


def _axes_of_a_filter(variable):
    """The axes over which the weights of one filter lie."""
    rank = len(variable.shape)
    if variable.name == "embeddings":
        return tuple(range(1, rank))
    if "depthwise" in variable.name:
        # Of shape (..., channels, multiplier): one for each of both.
        return tuple(range(rank - 2))
    return tuple(range(rank - 1))
