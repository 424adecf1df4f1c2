"""The Keras model whose training step records its curvature."""

from typing import Any

import keras

from keras_curvature.training._mixin import CurvatureTrainStep
from keras_curvature.training.functional import Functional


@keras.saving.register_keras_serializable(package="keras_curvature")
class Model(CurvatureTrainStep, keras.Model):
    """A `keras.Model` that trains under nested tapes.

    Use it as `keras.Model`: functionally, `Model(inputs, outputs)`, or by
    subclassing. Optimizers of this package that it is compiled with take
    their curvature from the outer tape of its training step, in graph and in
    eager mode (`run_eagerly=True`). With any other optimizer it trains as
    `keras.Model` does.

    A functional or sequential model `m` that exists already becomes one of
    these by `Model(m.inputs, m.outputs)`: another model of the same layers and
    weights. A `.keras` file of it loads in a process that has imported
    `keras_curvature` before.

    Example:

    ```python
    import keras
    import numpy as np
    import keras_curvature

    inputs = keras.Input((2,))
    outputs = keras.layers.Dense(1)(inputs)
    model = keras_curvature.Model(inputs, outputs)
    model.compile(
        keras_curvature.optimizers.SecondOrderGradient("sgd"),
        loss="mse",
        run_eagerly=True,
    )
    model.fit(np.ones((8, 2)), np.zeros((8, 1)), verbose=0)
    ```

    A plain model, for a solver that needs one of these:

    ```python
    import keras
    import numpy as np
    import keras_curvature

    plain = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model = keras_curvature.Model(plain.inputs, plain.outputs)
    model.compile(keras_curvature.optimizers.LevenbergMarquardt(), "mse")
    model.fit(np.ones((8, 2)), np.zeros((8, 1)), verbose=0)
    plain(np.ones((1, 2)))  # Has been trained.
    ```
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        if cls is Model and _is_functional(args, kwargs):
            return Functional(*args, **kwargs)
        return super().__new__(cls, *args, **kwargs)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if _is_functional(args, kwargs):
            # As Keras does with subclasses of its own Model. Not in __new__,
            # which sees the arguments of the subclass, whatever they mean.
            for child in [
                c for c in type(self).__mro__ if Model in c.__bases__
            ]:
                child.__bases__ = tuple(
                    Functional if base is Model else base
                    for base in child.__bases__
                )
            Functional.__init__(self, *args, **kwargs)
        else:
            super().__init__(*args, **kwargs)


def _is_functional(args, kwargs):
    """Whether these are the inputs and outputs of a functional model."""
    return (
        len(args) >= 2
        or (len(args) == 1 and "outputs" in kwargs)
        or ("inputs" in kwargs and "outputs" in kwargs)
    )
