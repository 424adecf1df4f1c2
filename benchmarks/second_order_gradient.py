"""What does a step of SecondOrderGradient cost beside one of SGD?

Times one step of `fit` with SecondOrderGradient("sgd") and with SGD, in turn
and in one process, on the MLP and the CNN of _networks.py, plain and with
jit_compile. With --memory, compares the peak memory of processes that do one
or the other, and the memory of a training after 200 and after 2,000 steps.
"""

import argparse
import subprocess
import sys
import time

import keras
import tensorflow as tf
from _measure import (
    interleaved,
    peak_mebibytes,
    print_figure,
    print_ratio,
    resident_mebibytes,
)
from _networks import make

from keras_curvature.optimizers import SecondOrderGradient

OPTIMIZERS = {
    "sgd": lambda: keras.optimizers.SGD(1e-3),
    "period 1": lambda: SecondOrderGradient(keras.optimizers.SGD(1e-3)),
    "period 10": lambda: SecondOrderGradient(
        keras.optimizers.SGD(1e-3), update_period=10
    ),
}


class Clock(keras.callbacks.Callback):
    """Seconds a step, from the end of the first step to that of the last."""

    now = time.perf_counter

    def on_train_batch_end(self, batch, logs=None):
        if batch == 0:
            self._began = self.now()
        else:
            self.seconds = (self.now() - self._began) / batch


def make_fit(network, optimizer, jit):
    """A callable that trains for some steps and returns seconds a step."""
    model, x, y = make(network)
    model.compile(
        OPTIMIZERS[optimizer](),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=jit,
    )
    batches = tf.data.Dataset.from_tensors((x, y)).repeat()

    def fit(steps):
        clock = Clock()
        model.fit(
            batches,
            steps_per_epoch=steps,
            shuffle=False,
            verbose=0,
            callbacks=[clock],
        )
        return clock.seconds

    return fit


def measure_time(networks, jits, repeats, steps):
    for network in networks:
        for jit in jits:
            cases = {}
            for optimizer in OPTIMIZERS:
                fit = make_fit(network, optimizer, jit)
                fit(11)  # traces, compiles and takes a step of each kind
                cases[optimizer] = lambda fit=fit: fit(steps + 1)
            seconds = interleaved(cases, repeats)
            for optimizer in ("period 1", "period 10"):
                print_ratio(
                    "fit step over SGD",
                    seconds[optimizer],
                    seconds["sgd"],
                    network=network,
                    jit=jit,
                    optimizer=optimizer,
                )


def measure_memory(networks, jits):
    for network in networks:
        for jit in jits:
            peaks = {o: in_child("peak", network, o, jit) for o in OPTIMIZERS}
            for optimizer in ("period 1", "period 10"):
                print_figure(
                    "peak memory over SGD",
                    network=network,
                    jit=jit,
                    optimizer=optimizer,
                    ratio=peaks[optimizer] / peaks["sgd"],
                    mebibytes=peaks[optimizer],
                )
    for optimizer in OPTIMIZERS:
        growth = in_child("growth", networks[0], optimizer, jits[0])
        print_figure(
            "growth from step 200 to 2,000",
            network=networks[0],
            jit=jits[0],
            optimizer=optimizer,
            mebibytes=growth,
        )


def in_child(what, *case):
    """Mebibytes that a process of its own reports."""
    command = [sys.executable, __file__, "--child", what, *map(str, case)]
    result = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return float(result.stdout)


def child(what, network, optimizer, jit):
    fit = make_fit(network, optimizer, jit == "True")
    if what == "peak":
        before = peak_mebibytes()
        fit(31)
        print(peak_mebibytes() - before)
    else:
        fit(200)
        before = resident_mebibytes()
        fit(1800)
        print(resident_mebibytes() - before)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--network", nargs="+", default=["mlp", "cnn"], choices=["mlp", "cnn"]
    )
    parser.add_argument(
        "--jit", nargs="+", default=["no", "yes"], choices=["no", "yes"]
    )
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--steps", type=int, default=20, help="multiple of 10")
    parser.add_argument(
        "--cpu-time",
        action="store_true",
        help="seconds of all cores together, for a machine that is busy",
    )
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    jits = [choice == "yes" for choice in options.jit]
    if options.cpu_time:
        Clock.now = time.process_time
    if options.child:
        child(*options.child)
    elif options.memory:
        measure_memory(options.network, jits)
    else:
        measure_time(options.network, jits, options.repeats, options.steps)


if __name__ == "__main__":
    main()
