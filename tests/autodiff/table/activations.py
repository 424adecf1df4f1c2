"""Rows for activation functions."""

import keras

from tests.autodiff.table.case import Case, no_numbers, option_of

_ACTIVATIONS = [
    "celu",
    "elu",
    "exponential",
    "gelu",
    "glu",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_tanh",
    "leaky_relu",
    "linear",
    "log_sigmoid",
    "log_softmax",
    "mish",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "soft_shrink",
    "softmax",
    "softplus",
    "softsign",
    "sparse_plus",
    "sparse_sigmoid",
    "sparsemax",
    "squareplus",
    "tanh",
    "tanh_shrink",
]


def rows():
    return [
        *map(_activation, _ACTIVATIONS),
        _activation("gelu", approximate=True),
        _activation("threshold", threshold=0.5, default_value=0.1),
        _activation("relu", negative_slope=0.1, max_value=1.0, threshold=0.2),
        _activation("elu", alpha=0.5),
        _activation("softmax", axis=1),
        _activation("log_softmax", axis=1),
        _activation("sparsemax", axis=1),
        *no_numbers(
            "activations",
            dict.fromkeys(
                ("deserialize", "serialize", "get"), "computes nothing"
            ),
        ),
    ]


def _activation(name, **kwargs):
    return Case(
        f"activations.{name}",
        option_of(kwargs),
        lambda: lambda x: getattr(keras.activations, name)(x, **kwargs),
        ((3, 4),),
        lambda f, t, training: f(t[0]),
        range=(-3.0, 3.0),
    )
