"""Hessian products of whole models against central differences."""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_curvature.autodiff import GradientGraph, hessian_vector_product
from tests.oracles import extrapolated_difference

layers = keras.layers


@contextlib.contextmanager
def double_precision():
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    try:
        yield
    finally:
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy("float32")


def resnet_block():
    inputs = keras.Input((6, 6, 3))
    x = layers.Conv2D(4, 3, padding="same", activation="swish")(inputs)
    shortcut = x
    for _ in range(2):
        x = layers.Conv2D(4, 3, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization()(x)
        x = layers.Activation("relu")(x)
    x = layers.MaxPooling2D()(layers.Add()([x, shortcut]))
    return keras.Model(
        inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(x))
    )


def transformer_encoder():
    inputs = keras.Input((5,), dtype="int32")
    x = layers.Embedding(7, 4)(inputs)
    for _ in range(2):
        attended = layers.MultiHeadAttention(2, 2, dropout=0.1)(x, x)
        x = layers.LayerNormalization()(layers.Add()([x, attended]))
        hidden = layers.Dense(8, activation="gelu")(x)
        x = layers.LayerNormalization()(
            layers.Add()([x, layers.Dense(4)(hidden)])
        )
    return keras.Model(
        inputs, layers.Dense(2)(layers.GlobalAveragePooling1D()(x))
    )


def conv_lstm():
    inputs = keras.Input((3, 4, 4, 2))
    x = layers.ConvLSTM2D(2, 2, return_sequences=True)(inputs)
    x = layers.BatchNormalization()(x)
    return keras.Model(
        inputs, layers.Dense(2)(layers.GlobalAveragePooling3D()(x))
    )


def unet():
    inputs = keras.Input((8, 8, 1))
    fine = layers.Conv2D(3, 3, padding="same", activation="tanh")(inputs)
    coarse = layers.AveragePooling2D(2)(fine)
    coarse = layers.Conv2D(4, 3, padding="same", activation="tanh")(coarse)
    coarse = layers.GroupNormalization(2)(coarse)
    up = layers.UpSampling2D(interpolation="bilinear")(coarse)
    x = layers.Concatenate()([up, fine])
    return keras.Model(inputs, layers.Conv2D(2, 3, activation="tanh")(x))


def mobile_net():
    return keras.applications.MobileNetV2(
        (32, 32, 3), alpha=0.35, weights=None, classes=2
    )


def efficient_net():
    return keras.applications.EfficientNetV2B0(
        input_shape=(32, 32, 3),
        weights=None,
        classes=2,
        include_preprocessing=False,
    )


class Problem:
    """A model, a batch, and the gradient of its loss."""

    def __init__(self, build, batch=3):
        keras.utils.set_random_seed(1)
        self.model = build()
        rng = np.random.default_rng(2)
        shape = (batch, *self.model.input_shape[1:])
        if self.model.inputs[0].dtype.startswith("int"):
            self.x = rng.integers(0, 7, shape)
        else:
            self.x = rng.normal(size=shape)
        self.y = rng.normal(size=(batch, *self.model.output_shape[1:]))
        self.variables = self.model.trainable_variables
        self.values = [v.value for v in self.variables]
        v = [rng.normal(size=v.shape) for v in self.variables]
        norm = np.sqrt(sum(np.sum(part**2) for part in v))
        self.vectors = [tf.constant(part / norm) for part in v]
        self.state = [(v, v.numpy()) for v in self.model.variables]
        self.gradient = tf.function(self._gradient, autograph=False)

    def loss(self):
        outputs = self.model(self.x, training=True)
        return tf.reduce_mean((outputs - self.y) ** 2)

    def _gradient(self):
        with tf.GradientTape() as tape:
            loss = self.loss()
        return tape.gradient(loss, self.values)

    def restore(self):
        for variable, value in self.state:
            variable.assign(value)

    def gradient_at(self, step):
        self.restore()
        for value, vector in zip(self.values, self.vectors, strict=True):
            value.assign_add(step * vector)
        return flat(self.gradient())

    def central_difference(self):
        """Batch statistics over few samples and the kinks of ReLU need small
        steps, deep smooth networks large ones."""
        steps = (1e-3, 2e-5, 1e-7, 1e-8, 1e-9)
        best, _ = extrapolated_difference(self.gradient_at, steps, 1e-8)
        self.restore()
        return best

    def by_graph(self):
        @tf.function(autograph=False)
        def product():
            curvature = GradientGraph(self._gradient(), self.variables)
            return curvature.hessian_vector_product(self.vectors)

        products = flat(product())
        self.restore()
        return products

    def by_tapes(self):
        @tf.function(autograph=False)
        def product():
            return hessian_vector_product(
                self.loss, self.variables, self.vectors
            )

        products = flat(product())
        self.restore()
        return products


def flat(tensors):
    return np.concatenate(
        [np.ravel(tf.convert_to_tensor(t)).astype("float64") for t in tensors]
    )


@pytest.mark.parametrize(
    "build", [resnet_block, transformer_encoder, conv_lstm]
)
def test_hessian_products_of_a_model_are_right_to_1e_6(build):
    with double_precision():
        problem = Problem(build)
        truth = problem.central_difference()
        for way in (problem.by_graph, problem.by_tapes):
            error = np.abs(way() - truth).max() / np.abs(truth).max()
            assert error <= 1e-6, way.__name__


@pytest.mark.parametrize("build", [mobile_net, efficient_net])
def test_an_application_without_weights_is_right_to_1e_6(build):
    with double_precision():
        # The last statistics are of one pixel a sample: over few samples they
        # are too steep for differences.
        problem = Problem(build, batch=8)
        truth = problem.central_difference()
        error = np.abs(problem.by_graph() - truth).max()
        assert error <= 1e-6 * np.abs(truth).max()


def test_a_unet_with_bilinear_upsampling_is_exact():
    """TensorFlow resizes in single precision, which central differences show.

    So the truth is the same network with resizing as a matrix product, which
    differs from it by the rounding of single precision only.
    """
    with double_precision():
        problem = Problem(unet)
        products = problem.by_graph(), problem.by_tapes()
        resize = next(
            f for f in problem.model.layers if "up_sampling" in f.name
        )
        matrix = _interpolation(4, 8)
        resize.__dict__["call"] = lambda x: tf.einsum(
            "ih,jw,bhwc->bijc", matrix, matrix, x
        )
        problem.gradient = tf.function(problem._gradient, autograph=False)
        truth = problem.central_difference()
    for product in products:
        assert np.abs(product - truth).max() <= 1e-6 * np.abs(truth).max()


def _interpolation(size, new_size):
    """The matrix of bilinear resizing with half-pixel centres."""
    centres = (np.arange(new_size) + 0.5) * size / new_size - 0.5
    centres = np.clip(centres, 0, size - 1)
    return np.maximum(0, 1 - np.abs(centres[:, None] - np.arange(size)))
