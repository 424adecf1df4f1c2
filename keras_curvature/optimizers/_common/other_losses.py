"""Layers with which two evaluations of a loss are not of one function."""

import keras


def reason_to_refuse(layer, may_mix_samples):
    """Reason why a layer makes outputs random or batch-dependent, or None."""
    is_normalizing = isinstance(layer, keras.layers.BatchNormalization)
    if is_normalizing and layer.trainable and not may_mix_samples:
        return "which mixes the samples of a batch in training"
    if getattr(layer, "stateful", False):
        return "which keeps a state from one batch to the next"
    for rate in ("rate", "dropout", "recurrent_dropout", "stddev"):
        value = getattr(layer, rate, None)
        if (
            isinstance(value, float)
            and value
            and hasattr(layer, "seed_generator")
        ):
            return "which draws random numbers in training"
    return None
