"""How far do quasi-Newton methods get on a physics-informed network?

The Helmholtz equation of `records.py` (4-20-20-1: 541 weights, float64, one
draw of points), from the same start for each seed: `SelfScaledBroyden` with
each of its updates, `LBFGS`, SciPy's BFGS, which minimizes the same loss by
calls of a function, and the papers' equations in NumPy with a line search of
SciPy, from H = I as they have it (`_papers_quasi_newton.py`). One JSON line
each time the evaluations of loss and gradient have doubled: the loss and the
relative L2 error at the accepted weights. Without a clock: figures do not
depend on the machine, but for the rounding of its sums. `--unit` multiplies the
loss, as another unit would.
"""

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from _measure import print_figure
from _papers_quasi_newton import minimize as minimize_as_papers
from _record_problems import PROBLEMS
from records import Draws, Network
from scipy.optimize import minimize

import keras_curvature
from keras_curvature.optimizers import LBFGS, SelfScaledBroyden

METHODS = {
    "ssbroyden": {},
    "ssbfgs": {"update": "ssbfgs"},
    "bfgs": {"update": "bfgs"},
    "ssbroyden from I": {"initial_inverse": "identity"},
    "ssbfgs from I": {"update": "ssbfgs", "initial_inverse": "identity"},
    "lbfgs": None,
    "SciPy's BFGS": None,
    "the papers' ssbroyden from I": "ssbroyden",
    "the papers' ssbfgs from I": "ssbfgs",
}


class Run:
    """A model and its data, and the figures of a method on them."""

    def __init__(self, method, options):
        keras.utils.set_random_seed(options.seed)
        self.problem = PROBLEMS[options.problem]()
        self.problem.counts["equation"] = options.points
        self.model = Network(self.problem, options.hidden)
        self.x, self.y = Draws(self.problem, options.seed)()
        self.points, self.exact = self.problem.truth()
        self.method, self.options, self.next_print = method, options, 64
        self.model(self.x)

    def report(self, evaluations, loss, is_last=False):
        if evaluations < self.next_print and not is_last:
            return
        self.next_print = 2 * max(evaluations, self.next_print)
        error = self.model.u(tf.constant(self.points)).numpy() - self.exact
        print_figure(
            "loss and error over evaluations",
            problem=self.options.problem,
            method=self.method,
            seed=self.options.seed,
            unit=self.options.unit,
            weights=self.model.count_params(),
            evaluations=evaluations,
            loss=float(loss) / self.options.unit,
            error=float(np.linalg.norm(error) / np.linalg.norm(self.exact)),
        )

    def ours(self):
        optimizer = LBFGS(gradient_tolerance=0.0)
        if self.method != "lbfgs":
            optimizer = SelfScaledBroyden(
                gradient_tolerance=0.0, **METHODS[self.method]
            )
        names = self.problem.counts
        self.model.compile(
            optimizer,
            loss=dict.fromkeys(names, "mse"),
            loss_weights=dict.fromkeys(names, self.options.unit),
            jit_compile=False,
        )
        done = 0
        while done < self.options.evaluations and not optimizer.stop_reason:
            chunk = min(self.next_print, self.options.evaluations) - done
            result = keras_curvature.solve(
                self.model, self.x, self.y, max_steps=chunk, verbose=0
            )
            done += result.steps
            self.report(done, optimizer.progress["accepted_loss"], True)

    def others(self):
        """SciPy's BFGS, or the papers' equations: by calls of a function."""
        variables = self.model.trainable_variables
        shapes = [v.shape for v in variables]
        splits = np.cumsum([np.prod(shape) for shape in shapes])[:-1]

        def assign(flat):
            parts = np.split(flat, splits)
            for variable, part, shape in zip(
                variables, parts, shapes, strict=True
            ):
                variable.assign(part.reshape(shape))

        count, evaluate = 0, self.loss_and_gradient()

        def function(flat):
            nonlocal count
            count += 1
            assign(flat)
            return [part.numpy() for part in evaluate()]

        def after_step(x, loss):
            if count >= self.next_print:
                assign(x)
                self.report(count, loss)
            if count >= self.options.evaluations:
                raise StopIteration

        start = np.concatenate([v.numpy().ravel() for v in variables])
        update = METHODS[self.method]
        if update:
            x, loss, _ = minimize_as_papers(function, start, update, after_step)
        else:
            x, loss = scipys_bfgs(function, start, after_step)
        assign(x)
        self.report(count, loss, is_last=True)

    def loss_and_gradient(self):
        variables = self.model.trainable_variables

        @tf.function(autograph=False)
        def evaluate():
            with tf.GradientTape() as tape:
                outputs = self.model(self.x)
                loss = self.options.unit * tf.add_n(
                    [
                        tf.reduce_mean((outputs[name] - self.y[name]) ** 2)
                        for name in outputs
                    ]
                )
            gradients = tape.gradient(loss, [v.value for v in variables])
            return loss, tf.concat(
                [tf.reshape(g, [-1]) for g in gradients], axis=0
            )

        return evaluate


def scipys_bfgs(function, start, after_step):
    found = minimize(
        function,
        start,
        jac=True,
        method="BFGS",
        callback=lambda intermediate_result: after_step(
            intermediate_result.x, intermediate_result.fun
        ),
        options={"gtol": 0.0, "maxiter": 10**6},
    )
    return found.x, found.fun


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    add("--problem", default="helmholtz", choices=PROBLEMS)
    add("--hidden", type=int, nargs="+", default=[20, 20])
    add("--points", type=int, default=1597, help="of the equation")
    add("--evaluations", type=int, default=4096)
    add("--seed", type=int, default=0)
    add("--unit", type=float, default=1.0, help="what the loss is times")
    options = parser.parse_args()
    keras.config.set_floatx("float64")
    for method in options.methods:
        run = Run(method, options)
        is_ours = isinstance(METHODS[method], dict) or method == "lbfgs"
        (run.ours if is_ours else run.others)()


if __name__ == "__main__":
    main()
