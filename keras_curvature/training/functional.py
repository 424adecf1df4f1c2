"""What `keras_curvature.Model(inputs, outputs)` makes."""

import keras

from keras_curvature.training._mixin import CurvatureTrainStep


@keras.saving.register_keras_serializable(package="keras_curvature")
class Functional(CurvatureTrainStep, keras.Model):
    """A functional Keras model that trains under nested tapes.

    A class of its own, because Keras rebases a model class for good when it
    is first called with inputs and outputs: were that class
    `keras_curvature.Model` itself, no subclass of it could be written
    afterwards.

    Example:

    ```python
    import keras
    import keras_curvature

    inputs = keras.Input((2,))
    model = keras_curvature.Model(inputs, keras.layers.Dense(1)(inputs))
    isinstance(model, keras_curvature.training.Functional)  # True
    ```
    """
