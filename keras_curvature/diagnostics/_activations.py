"""The activations of a model, wherever Keras keeps them."""

import contextlib
import dataclasses
from collections.abc import Callable

import keras
import tensorflow as tf

from keras_curvature.autodiff import exact_derivatives
from keras_curvature.layers import Activation, ElementwiseActivation

# Layers that are an activation and have no attribute `activation`.
_ACTIVATION_LAYERS = (
    keras.layers.ELU,
    keras.layers.LeakyReLU,
    keras.layers.ReLU,
)


@dataclasses.dataclass(frozen=True)
class ActivationSite:
    """A place where a layer applies an elementwise function.

    Attributes:
        name: The name of the layer, or its path where two have that name.
        layer: `keras.Layer`.
        attribute: `"activation"` or `"call"`, what applies the function.
        elementwise: `ElementwiseActivation` that knows f′ and f″.
        label: The name of the function.
    """

    name: str
    layer: keras.Layer
    attribute: str
    elementwise: ElementwiseActivation
    label: str


def activation_sites(model):
    """The sites of a model, in the order of its layers.

    Returns:
        List of `ActivationSite`s, and a dict from the names of layers whose
        activation is not among them to the reason.
    """
    sites, left_out = [], {}
    inner = set()
    for layer in model._flatten_layers(include_self=False, recursive=True):
        if id(layer) in inner:
            # It is the activation of another layer.
            continue
        found = _activation_of(layer)
        if found is None:
            continue
        attribute, function = found
        if isinstance(function, keras.Layer):
            inner.add(id(function))
        reason = _reason_against(layer, function)
        name = _name(layer, model)
        if reason:
            left_out[name] = reason
            continue
        label = _label(layer if attribute == "call" else function)
        elementwise = _elementwise(function)
        sites.append(ActivationSite(name, layer, attribute, elementwise, label))
    return sites, left_out


@contextlib.contextmanager
def intercepted(sites, apply):
    """Within it, `apply(site, function, z)` takes the place of function(z).

    Args:
        sites: List of `ActivationSite`s.
        apply: Callable of the site, what it applied before, and a tensor.
    """
    with contextlib.ExitStack() as restore:
        for site in sites:
            _intercept(site, apply, restore)
        yield


def _intercept(site, apply, restore):
    attributes = site.layer.__dict__
    function: Callable = getattr(site.layer, site.attribute)
    # Keras tracks what is assigned to a layer; this is not for it.
    if site.attribute in attributes:
        restore.callback(attributes.__setitem__, site.attribute, function)
    else:
        restore.callback(attributes.pop, site.attribute)
    attributes[site.attribute] = lambda z: apply(site, function, z)


def _activation_of(layer):
    """The attribute that applies a function, and the function, or None."""
    if isinstance(layer, ElementwiseActivation):
        return "call", layer
    if isinstance(layer, _ACTIVATION_LAYERS):
        return "call", layer.call
    if isinstance(layer, (keras.layers.PReLU, keras.layers.Softmax)):
        return "call", layer.call
    function = vars(layer).get("activation")
    is_linear = function in (None, keras.activations.linear)
    return None if is_linear else ("activation", function)


def _reason_against(layer, function):
    """Why an activation cannot be looked at, or None."""
    if hasattr(layer, "state_size"):
        return "is applied inside a recurrent loop"
    if isinstance(layer, keras.layers.PReLU):
        return "has weights of its own"
    try:
        with exact_derivatives():
            _elementwise(function).second_derivative(tf.zeros((1, 1)))
    except (ValueError, LookupError) as error:
        text = str(error)
        if "must be elementwise" in text or isinstance(
            layer, keras.layers.Softmax
        ):
            return "is not elementwise"
        return f"has no second derivative ({text})"
    return None


def _elementwise(function):
    if isinstance(function, ElementwiseActivation):
        return function
    # A name of its own would count up those of the user's layers.
    return Activation(function, name="activation")


def _label(function):
    return getattr(function, "__name__", type(function).__name__)


def _name(layer, model):
    names = [
        other.name
        for other in model._flatten_layers(include_self=False, recursive=True)
    ]
    unique = names.count(layer.name) == 1
    return layer.name if unique else (layer.path or layer.name)
