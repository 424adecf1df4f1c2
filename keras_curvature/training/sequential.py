"""The Keras Sequential whose training step records its curvature."""

import keras

from keras_curvature.training._mixin import CurvatureTrainStep


@keras.saving.register_keras_serializable(package="keras_curvature")
class Sequential(CurvatureTrainStep, keras.Sequential):
    """A `keras.Sequential` that trains under nested tapes.

    See `keras_curvature.Model`.

    Example:

    ```python
    import keras
    import numpy as np
    import keras_curvature

    model = keras_curvature.Sequential(
        [keras.Input((2,)), keras.layers.Dense(1)]
    )
    model.compile(
        keras_curvature.optimizers.SecondOrderGradient("sgd"),
        loss="mse",
        run_eagerly=True,
    )
    model.fit(np.ones((8, 2)), np.zeros((8, 1)), verbose=0)
    ```
    """
