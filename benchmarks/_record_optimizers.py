"""The optimizers of `records.py`, and what comes before them.

`LevenbergMarquardt` begins where Keras does. The papers on self-scaled
quasi-Newton methods begin with Adam, whose settings here are theirs: rate
5e-3, times 0.98 in 1,000 steps, β₁ = 0.99, ε = 1e-20 (arXiv:2405.04230).
"""

import keras
import tensorflow as tf

from keras_curvature.optimizers import (
    LBFGS,
    LevenbergMarquardt,
    SelfScaledBroyden,
)

DEFAULT = "levenberg-marquardt"
UPDATES = ("ssbroyden", "ssbfgs", "bfgs")
NAMES = (DEFAULT, *UPDATES, "lbfgs")


def add_arguments(parser):
    add = parser.add_argument
    add("--optimizer", default=DEFAULT, choices=NAMES)
    add("--scaling", help="of LevenbergMarquardt")
    add("--linear-solver", default="auto", help="the same")
    add("--trust-radius", type=float, default=0.5, help="the first, the same")
    add(
        "--initial-inverse",
        default="scaled",
        choices=("scaled", "identity"),
        help="the first H of ssbroyden, ssbfgs and bfgs",
    )
    add("--adam-steps", type=int, default=0, help="before the optimizer")


def optimizer_of(options):
    """The optimizer that the options name; those by lines run to the end."""
    if options.optimizer == DEFAULT:
        return LevenbergMarquardt(
            linear_solver=options.linear_solver,
            scaling=options.scaling,
            initial_trust_radius=options.trust_radius,
        )
    if options.optimizer == "lbfgs":
        return LBFGS(gradient_tolerance=0.0)
    return SelfScaledBroyden(
        options.optimizer,
        initial_inverse=options.initial_inverse,
        gradient_tolerance=0.0,
    )


def adam():
    rate = keras.optimizers.schedules.ExponentialDecay(5e-3, 1000, 0.98)
    return keras.optimizers.Adam(rate, beta_1=0.99, epsilon=1e-20)


def warm_up(model, draws, data, options, errors):
    """Trains a model that was compiled with `adam()`; the last points."""
    period = options.resample_period or options.adam_steps
    # The first step traces.
    _fit(model, data, 1)
    for done in range(0, options.adam_steps, period):
        if done:
            data = draws(model)
        _fit(model, data, min(period, options.adam_steps - done), [errors])
    return data


def _fit(model, data, steps, callbacks=()):
    model.fit(
        tf.data.Dataset.from_tensors(data).repeat(),
        steps_per_epoch=steps,
        shuffle=False,
        callbacks=list(callbacks),
        verbose=0,
    )
