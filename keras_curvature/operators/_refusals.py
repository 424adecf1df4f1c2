"""Models that operators do not take."""

import keras
import tensorflow as tf


def refuse_unsuited(model):
    """Raises for what is no model, and for models on several replicas."""
    if not isinstance(model, keras.Model):
        raise ValueError(
            f"`model` must be a keras.Model. Received: {type(model).__name__}."
        )
    strategies = [tf.distribute.get_strategy()]
    if model.distribute_strategy is not None:
        strategies.append(model.distribute_strategy)
    replicas = max(s.num_replicas_in_sync for s in strategies)
    if replicas > 1:
        raise ValueError(
            "A curvature operator computes on one replica. Received: a "
            f"strategy of tf.distribute with {replicas}. Load the model, or "
            "a clone with its weights, outside of the strategy."
        )


def refuse_narrow(model):
    """Raises for models that compute in half precision."""
    for layer in [*model._flatten_layers(include_self=False), model]:
        if isinstance(layer, keras.layers.InputLayer):
            continue
        for dtype in (layer.compute_dtype, layer.variable_dtype):
            if dtype in ("float16", "bfloat16"):
                raise ValueError(
                    "A curvature operator needs a model that computes in "
                    "float32 or float64, since the derivatives of gradients "
                    "lose all digits in half precision. Received: "
                    f"{dtype} in layer {layer.name}. Build the model again "
                    'under keras.config.set_dtype_policy("float32") and copy '
                    "the weights."
                )
