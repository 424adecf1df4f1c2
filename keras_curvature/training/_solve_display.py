"""What `solve` shows while it runs."""

import time

import keras


class SolveDisplay:
    """A progress bar over the steps, or one line for each epoch.

    Args:
        verbose: 0 for nothing, 1 for the bar, 2 for the lines.
        max_steps: Int, the steps at the end of the bar.
    """

    def __init__(self, verbose, max_steps):
        self._verbose, self._max_steps = verbose, max_steps
        self._bar = None
        self._shown_at = -_INTERVAL
        if verbose == 1:
            self._bar = keras.utils.Progbar(
                max_steps,
                stateful_metrics=_SHOWN,
                interval=0.0,
                unit_name="step",
            )

    def steps(self, step, solver):
        """After some steps."""
        now = time.monotonic()
        if self._bar is not None and now - self._shown_at > _INTERVAL:
            self._shown_at = now
            self._bar.update(step, _values(solver), finalize=False)

    def epoch(self, step, logs):
        """After an epoch."""
        if self._verbose == 2:
            shown = [*_SHOWN, *(name for name in logs if name[:4] == "val_")]
            values = " - ".join(f"{name}: {logs[name]:.4e}" for name in shown)
            print(f"{step}/{self._max_steps} - {values}", flush=True)

    def close(self, step, solver):
        """At the end, wherever it came."""
        if self._bar is not None and step:
            self._bar.update(step, _values(solver), finalize=True)


def _values(solver):
    progress = solver.progress
    return [
        ("loss", progress["accepted_loss"]),
        ("gradient_norm", progress["gradient_norm"]),
    ]


_SHOWN = ("loss", "gradient_norm")
# Seconds between two looks at the progress of the solver.
_INTERVAL = 0.1
