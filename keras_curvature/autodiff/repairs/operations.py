"""What an operation of a graph tells of itself."""


def created_in(operation, file_name, function):
    """Whether an operation of a graph was created within a function.

    A tape's stand-in for an operation has no traceback.
    """
    return any(
        frame.name == function and frame.filename.endswith(file_name)
        for frame in getattr(operation, "traceback", None) or ()
    )


def text_attribute(operation, name):
    """A string attribute, which graphs hold as bytes."""
    value = operation.get_attr(name)
    return value.decode() if isinstance(value, bytes) else value
