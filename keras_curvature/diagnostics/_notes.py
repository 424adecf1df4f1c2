"""What is said of activations that were not looked at."""

import re

_WAY_OUT = (
    'Apply the function in a layer, keras.layers.Activation("tanh") or '
    "keras_curvature.layers.Activation(function)"
)


def notes_on(left_out, seen):
    """Sentences on what was left out.

    Args:
        left_out: Dict from names of layers to reasons.
        seen: Has `hidden` and `unseen`, as `Applications`.
    """
    notes = [
        f"the activation of {name} {why}." for name, why in left_out.items()
    ]
    notes += [
        f"the activation of {name} is applied within a loop or a mapped "
        "function."
        for name in sorted(seen.hidden)
    ]
    unseen = [name for name in seen.unseen if not _is_within(name, left_out)]
    if unseen:
        notes.append(
            f"not looked at, since no layer holds them: {', '.join(unseen)}. "
            f"{_WAY_OUT}."
        )
    return notes


def _is_within(operation, layers):
    """Whether an operation lies in the scope of one of the layers."""
    # TensorFlow numbers scopes that it opens again.
    scopes = [re.sub(r"_\d+$", "", part) for part in operation.split("/")]
    names = {name.split("/")[-1] for name in layers}
    return not names.isdisjoint([*scopes, *operation.split("/")])


def refuse_without_sites(model, found, left_out, seen):
    """Raises where no activation was found."""
    if found:
        return
    notes = notes_on(left_out, seen)
    raise ValueError(
        "`model` must apply an elementwise function in at least one layer. "
        f"Received: {model.name}, which does not"
        + (f" ({' '.join(notes)})" if notes else "")
        + f". {_WAY_OUT}."
    )
