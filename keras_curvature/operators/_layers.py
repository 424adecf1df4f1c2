"""The weights of chosen layers."""

import fnmatch


def weights_of_layers(variables, patterns):
    """The indices of the variables whose layers match a pattern.

    Args:
        variables: List of `keras.Variable`s.
        patterns: String or list of strings with the wildcards of the shell:
            the name of a layer, or the path of a weight. None for all.

    Returns:
        List of ints, in the order of the variables.
    """
    if patterns is None:
        return list(range(len(variables)))
    patterns = [patterns] if isinstance(patterns, str) else patterns
    if not isinstance(patterns, (list, tuple)) or not (
        patterns and all(isinstance(p, str) for p in patterns)
    ):
        raise ValueError(
            "`layers` must be the name of a layer or a pattern such as "
            "'dense*', a list of at least one, or None for all. Received: "
            f"{patterns!r}. The name of a layer is layer.name."
        )
    found = []
    for pattern in patterns:
        matches = [
            k for k, v in enumerate(variables) if _matches(v.path, pattern)
        ]
        if not matches:
            names = sorted({_layer(v.path): None for v in variables})
            raise ValueError(
                "`layers` must hold names of layers with trainable weights, "
                "or patterns such as 'dense*'. Received: "
                f"{pattern!r}, which fits none of {', '.join(names)}."
            )
        found += matches
    return sorted(set(found))


def _matches(path, pattern):
    """Whether a pattern fits the path of a weight, or a part of it.

    Parts of "model/block/dense/kernel" are "dense", "block/dense",
    "dense/kernel" and so on.
    """
    names = path.split("/")
    return any(
        fnmatch.fnmatchcase("/".join(names[start:end]), pattern)
        for start in range(len(names))
        for end in range(start + 1, len(names) + 1)
    )


def _layer(path):
    return path.rpartition("/")[0] or path
