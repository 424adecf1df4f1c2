"""Rows for dense, elementwise and random layers, and embeddings."""

import tempfile

import keras
import tensorflow as tf
from keras import layers

from tests.autodiff.table.case import FLOAT32, Case, grid, layer, no_numbers


def rows():
    return [
        *_dense(),
        *_shapes(),
        *_random(),
        *_elementwise(),
        *_embeddings(),
        *_saved(),
        *no_numbers("layers", _NO_NUMBERS),
    ]


def _dense():
    return [
        *grid("Dense", (4,), {}, {"activation": "tanh"}, units=2),
        *grid("Dense", (4,), units=2, lora_rank=1, settings=FLOAT32),
        *grid("Dense", (3, 4), units=2, use_bias=False),
        layer(
            "EinsumDense",
            (3, 4),
            equation="abc,cd->abd",
            output_shape=(None, 2),
            bias_axes="d",
        ),
        Case(
            "layers.Pipeline",
            "Rescaling",
            lambda: layers.Pipeline([layers.Rescaling(2.0)]),
            ((4,),),
        ),
    ]


def _shapes():
    return [
        layer("Identity", (4,)),
        layer("Masking", (3, 4)),
        layer("Reshape", (3, 4), target_shape=(4, 3)),
        layer("Permute", (3, 4), dims=(2, 1)),
        layer("RepeatVector", (4,), n=3),
        layer("Flatten", (3, 2)),
    ]


def _random():
    return [
        layer("Dropout", (4,), rate=0.4),
        layer("AlphaDropout", (4,), rate=0.4),
        layer("GaussianDropout", (4,), rate=0.4),
        layer("GaussianNoise", (4,), stddev=0.4),
    ]


def _elementwise():
    return [
        layer("Activation", (4,), activation="tanh"),
        layer("Rescaling", (4,), scale=2.0, offset=0.1),
        layer("ActivityRegularization", (4,), l2=0.1),
        layer("Softmax", (3, 4)),
        layer("Softmax", (3, 4), axis=(1, 2)),
        layer("ELU", (4,), alpha=0.7),
        layer("LeakyReLU", (4,)),
        layer("ReLU", (4,), max_value=0.5, negative_slope=0.2, threshold=0.1),
        layer("PReLU", (4,), alpha_initializer="ones"),
        layer("PReLU", (3, 4), alpha_initializer="ones", shared_axes=[1]),
        Case(
            "layers.Lambda",
            "x³",
            lambda: layers.Lambda(lambda x: x**3),
            ((4,),),
        ),
    ]


class OnIntegers(keras.layers.Layer):
    """Looks integers up, times the tensor so that it has a curvature."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def call(self, x):
        integers = tf.range(tf.size(x)) % 4
        rows = self.inner(tf.reshape(integers, tf.shape(x)))
        return rows * x[..., tf.newaxis]


def _embedding(option, dtype="float64", **kwargs):
    return Case(
        "layers.Embedding",
        option,
        lambda: OnIntegers(layers.Embedding(4, 2, **kwargs)),
        ((3,),),
        dtype=dtype,
    )


def _reversible_embedding(option, **kwargs):
    return Case(
        "layers.ReversibleEmbedding",
        option,
        lambda: layers.ReversibleEmbedding(4, 3, **kwargs),
        ((2, 3),),
        lambda f, t, training: f(t[0], reverse=True),
    )


def _embeddings():
    untied = {"tie_weights": False, "logit_soft_cap": 2}
    return [
        _embedding(""),
        _embedding(
            "mask_zero=True, lora_rank=1",
            "float32",
            mask_zero=True,
            lora_rank=1,
        ),
        _reversible_embedding("reverse=True"),
        _reversible_embedding("tie_weights=False, logit_soft_cap=2", **untied),
    ]


def _saved():
    """A layer that runs a SavedModel, its gradient restored from the file."""

    def make():
        model = keras.Sequential(
            [
                keras.Input((4,)),
                layers.Dense(3, activation="tanh"),
                layers.LayerNormalization(),
            ]
        )
        with tempfile.TemporaryDirectory() as folder:
            model.export(folder, verbose=False)
            return layers.TFSMLayer(folder, call_endpoint="serve")

    yield Case(
        "layers.TFSMLayer",
        "LayerNormalization",
        make,
        ((4,),),
        lambda f, t, training: f(t[0]),
    )


_NO_NUMBERS = {
    "CategoryEncoding": "its input are integers",
    "Discretization": "piecewise constant",
    "HashedCrossing": "its input are integers or strings",
    "Hashing": "its input are integers or strings",
    "IntegerLookup": "its input are integers",
    "StringLookup": "its input are strings",
    "TextVectorization": "its input are strings",
    "MaxNumBoundingBoxes": "works on bounding boxes, not on features",
    "FlaxLayer": "runs under the JAX backend only",
    "JaxLayer": "runs JAX code, of which TensorFlow holds no second derivative",
    "TorchModuleWrapper": "runs under the PyTorch backend only",
    "Input": "computes nothing",
    "InputLayer": "computes nothing",
    "InputSpec": "computes nothing",
    "Layer": "computes nothing",
    "Wrapper": "computes nothing",
    "deserialize": "computes nothing",
    "serialize": "computes nothing",
}
