"""Files that are whole or not there."""

import contextlib
import os
import pathlib


def write_whole(path, text):
    """Writes a text beside its place first, so that no half of it is left.

    Args:
        path: Path of the file, which is replaced where it exists.
        text: String, written as UTF-8.
    """
    path = pathlib.Path(path)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(part, "x", encoding="utf-8") as file:
            file.write(text)
        os.replace(part, path)
    finally:
        # It is gone by then unless something failed.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(part)
