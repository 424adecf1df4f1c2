"""`make demo`: what the package is for, in two parts of a minute or two.

First `digits.py`, the training of a network by mini-batches, where first-order
methods are strong; then `by_the_clock.py`, problems to be solved to the last
digits, where curvature decides. Each prints a table, names the winner and
writes a plot.
"""

import argparse
import time

PARTS = (
    (
        "1 of 2. Digits: optimizers on equal passes over the data, then a "
        "SavedModel",
        1.5,
    ),
    (
        "2 of 2. By the clock: a differential equation and a fit of real data",
        1.5,
    ),
)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--all", action="store_true", help="AdaHessian and Sophia as well"
    )
    parser.add_argument("--plots", default="plots", help="folder of the plots")
    parser.add_argument(
        "--export", default="saved_models/digits", help="folder of the export"
    )
    options = parser.parse_args(argv)
    minutes = sum(part[1] for part in PARTS)
    print(
        f"Two parts, some {minutes:g} minutes on two free cores. "
        "Starting TensorFlow ...",
        flush=True,
    )
    began = time.perf_counter()
    # Here, so that something is said before TensorFlow takes its time.
    import by_the_clock
    import digits

    plots = f"--plots={options.plots}"
    announce(0)
    more = ["--all"] if options.all else []
    digits.main([plots, f"--export={options.export}", *more])
    announce(1)
    by_the_clock.main([plots])
    minutes = (time.perf_counter() - began) / 60
    print(f"\nDone in {minutes:.1f} minutes.")


def announce(part):
    title, minutes = PARTS[part]
    line = "=" * len(title)
    print(f"\n{title}\n{line}\nabout {minutes:g} minutes\n", flush=True)


if __name__ == "__main__":
    main()
