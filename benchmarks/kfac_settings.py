"""What do the settings of KFAC do where they are wrong?

One setting varies at a time, on a problem of `steps_to_loss.py`. Prints for
each the steps and seconds of the processor to the target, and the best loss
on the validation set, in the median of the seeds.
"""

import argparse
import json
import statistics
import sys

import steps_to_loss
from _problems import PROBLEMS

from keras_curvature.optimizers import KFAC

BASE = {"learning_rate": 0.5}
VARIED = {
    "damping": [1e-4, 0.01, 0.1],
    "adaptive_damping": [True],
    "decay": [0.0, 0.8],
    "update_period": [1, 50],
    "learning_rate": [0.05, 0.15, 1.5],
    "kl_bound": [5e-4, 5e-2, None],
    "momentum": [0.0, 0.9],
    "eigenvalue_correction": [True],
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problem", choices=PROBLEMS, default="digits")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--budget", type=float, default=1.0)
    arguments = parser.parse_args()
    arguments.cpu_time = True
    settings = [{}] + [
        {name: value} for name, values in VARIED.items() for value in values
    ]
    for setting in settings:
        options = BASE | setting
        rate = options.pop("learning_rate")
        runs = [
            steps_to_loss.run(
                arguments.problem,
                f"kfac {setting}",
                lambda rate, options=options: KFAC(rate, **options),
                rate,
                seed,
                arguments,
            )
            for seed in range(arguments.seeds)
        ]
        _report(setting or BASE, runs)


def _report(setting, runs):
    reached = [run for run in runs if run["steps"]]
    figure = {
        "stage": "setting",
        **setting,
        "reached": f"{len(reached)} of {len(runs)}",
        "steps": reached and statistics.median(r["steps"] for r in reached),
        "seconds": reached and statistics.median(r["seconds"] for r in reached),
        "best_loss": statistics.median(run["best_loss"] for run in runs),
    }
    print(json.dumps(figure), flush=True)


if __name__ == "__main__":
    sys.exit(main())
