"""Which solver for 1e3, 1e4 and 1e5 weights, and what does a step take?

y = sin 7x₁·cos 5x₂·e^x₁ on 1,000 points, three tanh layers of 21, 69 and 222
units, float64, the same start for all. Each case is a process of its own, and
prints processor seconds of a step, the memory it took besides the model in
MiB, and the loss after --seconds of the processor. The cases: normal
equations ("cholesky") and the dual form of `LevenbergMarquardt`; "marquardt"
and "identity", the dual form with these scales; "sketched", the latter with a
tenth of the points, drawn anew for each step; conjugate gradients
(`GaussNewton`) and `LBFGS`.
"""

import argparse
import subprocess
import sys
import time

from _measure import peak_mebibytes, print_figure

UNITS = (21, 69, 222)
CASES = (
    "cholesky",
    "dual",
    "marquardt",
    "identity",
    "sketched",
    "cg",
    "lbfgs",
)
SCALES = {
    "marquardt": "marquardt",
    "identity": "identity",
    "sketched": "identity",
}
POINTS = 1_000


def optimizer_of(case):
    from keras_curvature import optimizers

    if case == "cg":
        return optimizers.GaussNewton()
    if case == "lbfgs":
        return optimizers.LBFGS()
    return optimizers.LevenbergMarquardt(
        linear_solver="cholesky" if case == "cholesky" else "dual",
        scaling=SCALES.get(case, "auto"),
        mini_batches=case == "sketched",
    )


def child(case, units, limit):
    import keras
    import numpy as np

    import keras_curvature

    keras.config.set_floatx("float64")
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (POINTS, 2))
    y = np.sin(7 * x[:, :1]) * np.cos(5 * x[:, 1:]) * np.exp(x[:, :1])
    model = keras_curvature.Sequential(
        [
            keras.Input((2,)),
            *[keras.layers.Dense(units, activation="tanh") for _ in range(3)],
            keras.layers.Dense(1),
        ]
    )
    model.compile(optimizer_of(case), "mse")

    def some(model):
        rows = rng.choice(POINTS, POINTS // 10, replace=False)
        return x[rows], y[rows]

    is_sketched = case == "sketched"
    data = some(model) if is_sketched else (x, y)
    options = {"resample": some} if is_sketched else {}
    before = peak_mebibytes()
    keras_curvature.solve(model, *data, max_steps=1, verbose=0)
    seconds = steps = 0
    # To look at the loss of all points is no part of a step.
    while seconds < limit:
        began = time.process_time()
        result = keras_curvature.solve(
            model, *data, max_steps=5, verbose=0, **options
        )
        seconds += time.process_time() - began
        steps += result.steps
        if result.converged:
            break
    print_figure(
        "a solver's steps on larger networks",
        solver=case,
        weights=model.count_params(),
        seconds_a_step=seconds / max(steps, 1),
        mebibytes=peak_mebibytes() - before,
        steps=steps,
        seconds=seconds,
        loss=float(np.mean((model(x) - y) ** 2)),
    )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--cases", nargs="+", default=CASES, choices=CASES)
    parser.add_argument("--units", nargs="+", type=int, default=UNITS)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child is not None:
        child(options.child, options.units[0], options.seconds)
        return
    for units in options.units:
        for case in options.cases:
            if case == "cholesky" and units > 100:
                # AᵀA of 1e5 weights has 75 GiB.
                continue
            command = [sys.executable, __file__, "--child", case]
            command += ["--units", str(units)]
            command += ["--seconds", str(options.seconds)]
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
