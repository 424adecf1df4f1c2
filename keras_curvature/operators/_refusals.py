"""Models that operators do not take."""

import keras
import tensorflow as tf


def refuse_unsuited(model):
    """Raises for what is no model."""
    if not isinstance(model, keras.Model):
        raise ValueError(
            f"`model` must be a keras.Model. Received: {type(model).__name__}."
        )


def strategy_of(model):
    """The strategy over whose replicas batches are split, or None.

    Args:
        model: A built `keras.Model`.

    Raises:
        ValueError: for strategies that keep no copy of all weights on each
            device of this process, and under a strategy for a model made
            outside of it.
    """
    # Of a model made outside of any it is the one that is current.
    strategy = model.distribute_strategy
    if strategy is None or strategy.num_replicas_in_sync == 1:
        return None
    if not isinstance(strategy, tf.distribute.MirroredStrategy):
        raise ValueError(
            "A curvature operator splits data over the replicas of a "
            "tf.distribute.MirroredStrategy, or computes on one. Received: a "
            f"model under {_described(strategy)}. Load the model, or a clone "
            "with its weights, outside of the strategy."
        )
    for variable in model.trainable_variables:
        if not isinstance(variable.value, tf.distribute.DistributedValues):
            raise ValueError(
                "`model` must be made in the scope of the strategy that its "
                f"operator is under. Received: {_described(strategy)}, and "
                f"{variable.path}, which was made outside. Make or load the "
                "model in the scope, or the operator outside of it."
            )
    return strategy


def refuse_training(strategy, training):
    """Raises where layers could take statistics of a replica's samples."""
    if strategy is not None and training:
        raise ValueError(
            "`training` must be False on several replicas, where layers such "
            "as BatchNormalization would take the statistics of the samples "
            f"of one replica. Received: training=True and a model made under "
            f"{_described(strategy)}. Load the model, or a clone with its "
            "weights, outside of the strategy."
        )


def refuse_xla(strategy, jit_compile):
    """Raises for XLA, which reads the weights of the first device alone."""
    if strategy is not None and jit_compile:
        raise ValueError(
            "`jit_compile` must be False on several replicas, since XLA reads "
            "the weights of the first device alone. Received: "
            f"jit_compile=True and a model made under {_described(strategy)}. "
            "Leave it out, or load the model outside of the strategy."
        )


def _described(strategy):
    return (
        f"a {type(strategy).__name__} with {strategy.num_replicas_in_sync} "
        "replicas"
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
