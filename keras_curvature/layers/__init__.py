"""Activation layers that know their exact first and second derivative."""

from keras_curvature.layers.activation import Activation
from keras_curvature.layers.elementwise import ElementwiseActivation
from keras_curvature.layers.elu import ELU
from keras_curvature.layers.gaussian import Gaussian
from keras_curvature.layers.gelu import GELU
from keras_curvature.layers.leaky_relu import LeakyReLU
from keras_curvature.layers.log_sigmoid import LogSigmoid
from keras_curvature.layers.mish import Mish
from keras_curvature.layers.relu import ReLU
from keras_curvature.layers.selu import SELU
from keras_curvature.layers.sigmoid import Sigmoid
from keras_curvature.layers.silu import SiLU
from keras_curvature.layers.sine import Sine
from keras_curvature.layers.softplus import Softplus
from keras_curvature.layers.softsign import Softsign
from keras_curvature.layers.tanh import Tanh

__all__ = [
    "ELU",
    "GELU",
    "SELU",
    "Activation",
    "ElementwiseActivation",
    "Gaussian",
    "LeakyReLU",
    "LogSigmoid",
    "Mish",
    "ReLU",
    "SiLU",
    "Sigmoid",
    "Sine",
    "Softplus",
    "Softsign",
    "Tanh",
]
