"""Silence of TensorFlow's own log where the package is run as a command."""

import os
import sys

_before = None


def mute_log_of_command():
    """Keeps TensorFlow's log of its import from `python -m keras_curvature`.

    TensorFlow writes it past Python, to the file descriptor of the standard
    error, and some of it whatever its level is. What Python writes there goes
    on to be seen. Does nothing where the package is imported otherwise.
    """
    global _before
    if not _is_command() or sys.stderr is None or _before is not None:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        _before = os.dup(2)
    except OSError:
        # The standard error is closed.
        return
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1, errors="replace")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)


def _is_command():
    """Whether Python looks for this package now, to run it by `-m`."""
    # So it is while a module is looked for, and no longer.
    if sys.argv[:1] != ["-m"] or "-m" not in sys.orig_argv:
        return False
    # Another package that is run may import this one.
    following = sys.orig_argv[sys.orig_argv.index("-m") + 1 :]
    return following[:1] == ["keras_curvature"]


def unmute_log():
    """Ends `mute_log_of_command`, so that a crash has its message."""
    global _before
    if _before is not None:
        os.dup2(_before, 2)
        os.close(_before)
        _before = None
