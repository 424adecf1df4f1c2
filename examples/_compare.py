"""What the examples of mini-batches share: a fair comparison of optimizers."""

import math
import statistics
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np

# Tuning draws its weights from other seeds than the runs that are shown.
TUNING_SEED = 1000


class Method(NamedTuple):
    """An optimizer to compare.

    `rate` is the learning rate at which the search for the best one begins.
    `passes` says how often one step differentiates: once for a gradient,
    twice for a gradient and a product with the Hessian, 1.1 times where that
    product is renewed on every tenth step. Budgets are counted in passes over
    the data, so a step that costs twice is taken half as often.
    """

    make: Callable
    rate: float
    passes: float
    color: str
    line: str = "-"


class Run(NamedTuple):
    rate: float
    tried: list
    history: dict
    score: float
    weights: list
    seconds: float


def bracketed(loss, start, most=12):
    """The best of 1, 3, 10, 30 … and 0.3, 0.1 … that has both neighbors.

    Tries `start` and its neighbors, then goes on where the best is at an edge.

    Args:
        loss: Callable `(rate)`; the smaller the better, NaN is the worst.
        start: Float, a number of that series.
        most: Int, the most rates to try; the best may be an edge then.

    Returns:
        Tuple `(best, tried)`, the second in ascending order.
    """
    index = round(2 * math.log10(start))
    losses = {}
    for k in (index, index - 1, index + 1):
        losses[k] = _rank(loss(_rate(k)))
    while True:
        best = min(sorted(losses), key=losses.get)
        low, high = min(losses), max(losses)
        if low < best < high or len(losses) >= most:
            return _rate(best), [_rate(k) for k in sorted(losses)]
        k = low - 1 if best == low else high + 1
        losses[k] = _rank(loss(_rate(k)))


def _rate(k):
    return float(f"{(1, 3)[k % 2]}e{k // 2}")


def _rank(loss):
    return math.inf if math.isnan(loss) else loss


def compare(
    methods,
    make_model,
    budget,
    seeds,
    choose_by,
    measure,
    tuning_seeds=1,
    **fit,
):
    """Trains with every method, at the rate that is best for it.

    Rates are chosen in runs of half the budget, from other weights than those
    of the runs that are returned. A method is traced once.

    Args:
        methods: Dict from name to `Method`.
        make_model: Callable `(optimizer)` that returns a compiled model.
        budget: Int, passes over the training data in each run.
        seeds: Int, runs at the chosen rate.
        choose_by: Entry of the history that chooses the rate, by the mean of
            its last values; the smaller the better.
        measure: Callable `(model)` that returns the score of a trained model.
            It chooses nothing.
        tuning_seeds: Int, runs for each rate that is tried.
        **fit: Arguments of `Model.fit`.

    Returns:
        Dict from name to a list of `Run`s, one for each seed.
    """
    half = budget / 2
    planned = 3 * tuning_seeds * half + seeds * budget
    progress = Progress(len(methods) * planned)
    starts = _weights(make_model, seeds, tuning_seeds)
    results = {}
    for name, method in methods.items():
        keras.utils.clear_session()
        model = make_model(method.make(method.rate))
        train = _Trainer(name, method, model, starts, progress, fit)

        def loss(rate, train=train):
            last = [
                train(rate, TUNING_SEED + seed, half)[0][choose_by][-1]
                for seed in range(tuning_seeds)
            ]
            return statistics.fmean(last)

        rate, tried = bracketed(loss, method.rate)
        # Those beyond the three that the bar has counted on.
        progress.forget((3 - len(tried)) * tuning_seeds * half)
        results[name] = []
        for seed in range(seeds):
            history, seconds = train(rate, seed, budget)
            weights = model.get_weights()
            run = Run(rate, tried, history, measure(model), weights, seconds)
            results[name].append(run)
    progress.close()
    return results


def _weights(make_model, seeds, tuning_seeds):
    """Weights to start from, by seed.

    All at once, since TensorFlow, given a seed, forgets its compiled functions
    and spends a second on each to optimize it anew.
    """
    starts = {}
    for first, count in ((TUNING_SEED, tuning_seeds), (0, seeds)):
        for seed in range(first, first + count):
            keras.utils.set_random_seed(seed)
            starts[seed] = make_model("sgd").get_weights()
    return starts


class _Trainer:
    """Trains one compiled model again and again, each time from the start."""

    def __init__(self, name, method, model, starts, progress, fit):
        self.name, self.method, self.model = name, method, model
        self.starts, self.progress, self.fit = starts, progress, fit
        self.model.optimizer.build(self.model.trainable_variables)
        variables = self.model.optimizer.variables
        self.fresh = [variable.numpy() for variable in variables]

    def __call__(self, rate, seed, budget):
        """The history and the seconds of a run of some passes."""
        self._restart(rate, seed)
        purpose = "tuning" if seed >= TUNING_SEED else f"run {seed + 1}"
        self.progress.start(f"{self.name}, {purpose}, rate {rate:g}", budget)
        began = time.perf_counter()
        history = self.model.fit(
            epochs=max(1, round(budget / self.method.passes)),
            callbacks=[self.progress],
            verbose=0,
            **self.fit,
        ).history
        return history, time.perf_counter() - began

    def _restart(self, rate, seed):
        model = self.model
        model.set_weights(self.starts[seed])
        # Those that are made in the first step are overwritten by it.
        for k, variable in enumerate(model.optimizer.variables):
            known = k < len(self.fresh)
            fresh = self.fresh[k] if known else np.zeros(variable.shape)
            variable.assign(fresh)
        model.optimizer.learning_rate = rate


class Progress(keras.callbacks.Callback):
    """One bar for many calls of `fit`, in passes over the data."""

    def __init__(self, total):
        super().__init__()
        self.total, self.done, self.budget = total, 0.0, 0.0
        self.began = time.perf_counter()

    def start(self, label, budget):
        self.done += self.budget
        self.label, self.budget = label, budget
        self._show(self.done)

    def forget(self, passes):
        """Runs that were planned and are not needed; negative for more."""
        self.total -= passes

    def on_epoch_end(self, epoch, logs=None):
        if sys.stdout.isatty():
            share = (epoch + 1) / self.params["epochs"]
            self._show(self.done + share * self.budget)

    def close(self):
        self.label = "done"
        self._show(self.total)
        print("\n", flush=True)

    def _show(self, done):
        share = min(1.0, done / self.total)
        elapsed = time.perf_counter() - self.began
        left = f"{elapsed * (1 / share - 1):3.0f} s left" if share else ""
        line = f"[{'#' * int(24 * share):24}] {left:>10} {self.label}"
        # A terminal gets a bar that moves, a file a line for each run.
        if sys.stdout.isatty():
            print(f"\r{line:<79.79}", end="", flush=True)
        else:
            print(line, flush=True)
