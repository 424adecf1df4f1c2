"""What is told on the standard error while a report is made."""

import sys
import time

from keras_curvature.report._numbers import duration


class Silence:
    """Tells nothing."""

    def say(self, line):
        """Shows a line."""

    def begin(self, name, products):
        """Begins a measurement that takes at most so many products."""

    def advance(self, products):
        """So many more products are taken."""

    def end(self):
        """The measurement is made."""


class Progress(Silence):
    """One line for each measurement, which moves on a terminal."""

    def __init__(self):
        self._name, self._products, self._done = "", 0, 0
        self._began = self._shown = 0.0

    def say(self, line):
        print(line, file=sys.stderr, flush=True)

    def begin(self, name, products):
        self._name, self._products, self._done = name, products, 0
        self._began, self._shown = time.perf_counter(), 0.0
        self._show(f"up to {products:,} products" if products else "")

    def advance(self, products):
        self._done += products
        now = time.perf_counter()
        # More often nobody can read it.
        if now - self._shown > 0.2:
            self._shown = now
            self._show(f"{self._done:,} of up to {self._products:,}")

    def end(self):
        taken = f"{self._done:,} products" if self._done else ""
        elapsed = duration(time.perf_counter() - self._began)
        start = "\r" if sys.stderr.isatty() else ""
        self.say(f"{start}  {self._name:<24}{taken:>18}{elapsed:>10}")

    def _show(self, what):
        if sys.stderr.isatty():
            line = f"  {self._name:<24}{what:>28}"
            print(f"\r{line}", end="", file=sys.stderr, flush=True)


class CountedOperator:
    """An operator that tells of its products.

    Args:
        operator: A `CurvatureOperator`.
        progress: `Progress`.
    """

    def __init__(self, operator, progress):
        self._operator, self._progress = operator, progress
        self.shape, self.dtype = operator.shape, operator.dtype

    def __matmul__(self, vectors):
        product = self._operator @ vectors
        self._progress.advance(vectors.shape[1])
        return product
