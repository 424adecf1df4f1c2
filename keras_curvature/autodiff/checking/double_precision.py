"""A copy of a model that computes in float64."""

import contextlib

import keras


@contextlib.contextmanager
def default_float(dtype):
    """Layers and losses that are made inside compute in this dtype."""
    floatx, policy = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)
    try:
        yield
    finally:
        keras.config.set_floatx(floatx)
        keras.config.set_dtype_policy(policy)


def double_precision_copy(model, x):
    """The model from its config, all of it in float64, with its weights.

    Args:
        model: A built model.
        x: Inputs in float64, to build the copy of a subclassed model.

    Raises:
        Exception: whatever a model without a usable config raises.
    """
    config = _in_float64(keras.saving.serialize_keras_object(model))
    layers = model._flatten_layers(include_self=True, recursive=True)
    copy = keras.saving.deserialize_keras_object(
        config, custom_objects={type(f).__name__: type(f) for f in layers}
    )
    copy(x)
    for target, source in zip(copy.variables, model.variables, strict=True):
        target.assign(source.numpy())
    return copy


def double_precision_loss(loss):
    """The loss, in float64 where it is a Keras loss."""
    if isinstance(loss, dict):
        return {key: double_precision_loss(part) for key, part in loss.items()}
    if isinstance(loss, (list, tuple)):
        return [double_precision_loss(part) for part in loss]
    if isinstance(loss, keras.losses.Loss):
        try:
            config = _in_float64(keras.saving.serialize_keras_object(loss))
            return keras.saving.deserialize_keras_object(config)
        except Exception:
            return loss
    return loss


def _in_float64(config):
    """The config with every floating-point dtype in it replaced."""
    if isinstance(config, dict):
        return {
            key: _double(value) if key == "dtype" else _in_float64(value)
            for key, value in config.items()
        }
    if isinstance(config, (list, tuple)):
        return type(config)(map(_in_float64, config))
    return config


def _double(dtype):
    """ "float64" for any floating-point dtype or policy."""
    name = dtype
    if isinstance(dtype, dict):
        name = dtype.get("config", {}).get("name", "")
    return "float64" if isinstance(name, str) and "float" in name else dtype
