"""Imports TensorFlow without the lines that it logs while it starts.

Before its logging is set up, TensorFlow writes to the standard error what
`TF_CPP_MIN_LOG_LEVEL` cannot hold back: which instructions its build uses, and
that there is no GPU. Import this first. Where the import fails, all of it is
shown; what is logged later is shown but for TensorFlow's notes on its graph
optimizer, below the level of errors.
"""

import os
import sys
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def _start():
    # The descriptor, since these lines come from C++ and not from Python.
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as kept:
        os.dup2(kept.fileno(), 2)
        started = False
        try:
            import tensorflow as tf

            # Looks for devices, of which it logs as well.
            tf.constant(0)
            started = True
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            if not started:
                kept.seek(0)
                sys.stderr.write(kept.read().decode(errors="replace"))


_start()
