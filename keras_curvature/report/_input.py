"""What is wrong with what a command was given."""

import re


class InputError(Exception):
    """A file or an option that cannot be taken; its text is one line."""


def one_line(error, most=400):
    """The text of an exception in one line, cut where it is long."""
    # Keras writes in bold, and a name may hold whatever moves a terminal.
    text = re.sub(r"\x1b\[[\d;]*m", "", str(error))
    text = "".join(c if c.isprintable() else " " for c in text)
    text = " ".join(text.split()) or type(error).__name__
    return text if len(text) <= most else text[: most - 1] + "…"
