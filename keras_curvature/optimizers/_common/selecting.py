"""One of two lists of tensors, by a condition."""

import tensorflow as tf

# To put scalars together, select one vector, and take it apart costs so many.
_OPERATIONS = 4


def select_each(condition, yes, no):
    """`tf.where(condition, a, b)` for the tensors a, b of two lists.

    Scalars of a type are selected in one go, as operations take longer to
    trace and to run than what they compute.

    Args:
        condition: Scalar bool tensor.
        yes: List of tensors.
        no: List of tensors of the same shapes and types.

    Returns:
        List of tensors.
    """
    selected = list(yes)
    groups = {}
    for place, (a, b) in enumerate(zip(yes, no, strict=True)):
        if a is b:
            continue
        alone = place if a.shape.rank else None
        groups.setdefault((a.dtype, alone), []).append(place)
    for places in groups.values():
        a, b = ([values[i] for i in places] for values in (yes, no))
        if len(places) > _OPERATIONS:
            chosen = tf.unstack(tf.where(condition, tf.stack(a), tf.stack(b)))
        else:
            pairs = zip(a, b, strict=True)
            chosen = [tf.where(condition, *pair) for pair in pairs]
        for place, tensor in zip(places, chosen, strict=True):
            selected[place] = tensor
    return selected
