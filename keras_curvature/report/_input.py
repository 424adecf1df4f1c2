"""What is wrong with what a command was given."""


class InputError(Exception):
    """A file or an option that cannot be taken; its text is one line."""


def one_line(error, most=400):
    """The text of an exception in one line, cut where it is long."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= most else text[: most - 1] + "…"
