"""The package computes with TensorFlow; other Keras backends are refused."""

import keras


def require_tensorflow_backend():
    """Raises `ImportError` unless Keras runs on TensorFlow."""
    backend = keras.config.backend()
    if backend != "tensorflow":
        raise ImportError(
            "keras_curvature needs the TensorFlow backend of Keras. "
            f"Received: keras.config.backend() == {backend!r}. Set the "
            'environment variable KERAS_BACKEND to "tensorflow" (or the entry '
            '"backend" of ~/.keras/keras.json) before the first import of '
            "keras."
        )
