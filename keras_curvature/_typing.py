"""Types of arguments that several rooms take."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import keras
import tensorflow as tf
from numpy.typing import ArrayLike

# A tensor, or a list, tuple or dict of such, nested to any depth.
Structure: TypeAlias = Any

Array: TypeAlias = ArrayLike | tf.Tensor | tf.Variable

# What `model.fit` takes for its `x`.
Data: TypeAlias = (
    Array
    | Sequence[Any]
    | Mapping[str, Any]
    | tf.data.Dataset
    | keras.utils.PyDataset
)

Variables: TypeAlias = Sequence[keras.Variable | tf.Variable]

# One for each variable, in its shape.
Vectors: TypeAlias = Sequence[Array | keras.Variable | None]

# Names of layers, paths of weights, or patterns.
Layers: TypeAlias = str | Sequence[str]

# As in `model.compile`.
Loss: TypeAlias = (
    str
    | keras.losses.Loss
    | Callable[..., Any]
    | Sequence[Any]
    | Mapping[str, Any]
)
LossWeights: TypeAlias = float | Sequence[float] | Mapping[str, float]
LearningRate: TypeAlias = (
    float
    | keras.optimizers.schedules.LearningRateSchedule
    | Callable[[], float]
)


class Matrix(Protocol):
    """A square matrix: an array, or something that is known by its products."""

    @property
    def shape(self) -> Any: ...

    @property
    def dtype(self) -> Any: ...

    def __matmul__(self, other: Any, /) -> Any: ...
