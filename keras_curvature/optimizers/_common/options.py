"""Options of Keras's optimizers that a solver cannot have."""


def refuse_options(method, options):
    """Raises for options of Keras's optimizers that a solver cannot have."""
    for name, value in options.items():
        if name not in _REFUSED:
            raise TypeError(f"{method} has no argument `{name}`.")
        raise ValueError(
            f"`{name}` is not an option of {method}: {_REFUSED[name]} "
            f"Received: {name}={value!r}."
        )


_CLIPPING = (
    "its model of the loss needs the gradient as it is, and a step that is "
    "too long is shortened anyway. Leave it out."
)
_AVERAGE = (
    "an average over trial points is no approximation of the minimum; `fit` "
    "leaves the best accepted point in the model. Leave it out."
)
_REFUSED = {
    "learning_rate": (
        "it finds the step length itself. Leave it out, and the callbacks "
        "and schedules that change it."
    ),
    "weight_decay": (
        "decay between two evaluations would move the trial point. Use "
        "keras.regularizers.L2 on the layers, which is part of the loss."
    ),
    "clipnorm": _CLIPPING,
    "clipvalue": _CLIPPING,
    "global_clipnorm": _CLIPPING,
    "use_ema": _AVERAGE,
    "ema_momentum": _AVERAGE,
    "ema_overwrite_frequency": _AVERAGE,
    "loss_scale_factor": (
        "it compares losses and gradients in the dtype of the weights, where "
        "none of them vanishes. Leave it out."
    ),
    "gradient_accumulation_steps": (
        "it needs second derivatives of all batches at once. Use a larger "
        "batch_size."
    ),
}
