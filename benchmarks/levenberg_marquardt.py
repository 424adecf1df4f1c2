"""What does a Levenberg-Marquardt step cost, and how far does it get?

The sinc fit of tf-levenberg-marquardt: y = sinc(10x) on 20,000 points, a tanh
network of 61 weights, batches of 1,000, float32. Peers run in interpreters of
their own, on the same weights and batches, an epoch of each in turn:

    python benchmarks/levenberg_marquardt.py --torch PYTHON --tensorflow PYTHON

with PYTHON that has torch-levenberg-marquardt or tf-levenberg-marquardt.
With --sizes instead: a step beside one gradient at 61, 1,026 and 5,000
weights, and the peak memory of each size. With --cpu-time: seconds of the
processor, one thread each, for a busy machine.
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile
import time

import keras
import numpy as np
import tensorflow as tf

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from _measure import (  # noqa: E402
    interleaved,
    peak_mebibytes,
    print_figure,
    print_ratio,
)

import keras_curvature  # noqa: E402

POINTS, BATCH = 20_000, 1_000


def network(units):
    """Of 3·units + 1 weights."""
    return keras_curvature.Sequential(
        [
            keras.Input((1,)),
            keras.layers.Dense(units, activation="tanh"),
            keras.layers.Dense(1),
        ]
    )


def sinc():
    x = np.linspace(-1, 1, POINTS, dtype="float32")[:, None]
    return x, np.sinc(10 * x).astype("float32")


def compiled_step(model, batch_size, jit, **options):
    """The training step as `fit` compiles it."""
    optimizer = keras_curvature.optimizers.LevenbergMarquardt(**options)
    model.compile(optimizer, "mse", jit_compile=jit)
    spec = tf.TensorSpec((batch_size, 1), tf.float32)
    return tf.function(
        lambda x, y: model.train_step((x, y)),
        input_signature=[spec, spec],
        jit_compile=jit,
        autograph=False,
    )


class Ours:
    """Epochs of this package, as the peers' child processes run theirs."""

    def __init__(self, weights, x, y, order, jit, clock, **options):
        self.clock = clock
        self.model = network(20)
        self.model.set_weights(weights)
        self.x, self.y, self.order = x, y, order
        # As `fit` gives them: the batch size is not known when tracing.
        self.step = compiled_step(self.model, None, jit, **options)
        self.loss = None

    def epoch(self, index):
        batches = [
            (tf.constant(self.x[part]), tf.constant(self.y[part]))
            for part in self.order[index]
        ]
        began = self.clock()
        for batch in batches:
            self.step(*batch)
        seconds = self.clock() - began
        outputs = self.model(self.x)
        self.loss = float(tf.reduce_mean((outputs - self.y) ** 2))
        return seconds


class Peer:
    def __init__(self, python, name, path, clock):
        script = ROOT / "benchmarks" / "_peer_levenberg_marquardt.py"
        self.process = subprocess.Popen(
            [python, script, name, path, clock.__name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.loss = None

    def epoch(self, index):
        self.process.stdin.write(f"{index}\n")
        self.process.stdin.flush()
        seconds, self.loss = map(float, self.process.stdout.readline().split())
        return seconds


def compare(options):
    """Step time and final loss beside the peers, on the same batches."""
    x, y = sinc()
    clock = time.perf_counter
    if options.cpu_time:
        clock = time.process_time
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    for seed in range(options.seeds):
        keras.utils.set_random_seed(seed)
        weights = network(20).get_weights()
        rng = np.random.default_rng(seed)
        order = np.stack(
            [rng.permutation(POINTS) for _ in range(options.epochs)]
        ).reshape(options.epochs, -1, BATCH)
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "start.npz")
            named = {f"weight_{i}": w for i, w in enumerate(weights)}
            np.savez(path, x=x, y=y, order=order, **named)
            start = (weights, x, y, order, options.jit, clock)
            runs = {
                "ours": Ours(*start),
                "ours, straight": Ours(*start, geodesic_acceleration=False),
            }
            for name in ("torch", "tensorflow"):
                if python := getattr(options, name):
                    runs[name] = Peer(python, name, path, clock)
            report(runs, options, seed)


def report(runs, options, seed):
    seconds = {name: [] for name in runs}
    losses = {name: [] for name in runs}
    for index in range(options.epochs):
        for name, run in runs.items():
            seconds[name].append(run.epoch(index))
            losses[name].append(run.loss)
    steps = POINTS // BATCH
    for name, run in runs.items():
        # The first epochs trace and warm up.
        later = [s / steps for s in seconds[name][2:]]
        print_figure(
            "sinc fit",
            optimizer=name,
            seed=seed,
            loss=losses[name][-1],
            seconds=sum(seconds[name]),
            milliseconds=1e3 * float(np.median(later)),
        )
        if isinstance(run, Peer):
            for mine in runs:
                if isinstance(runs[mine], Ours):
                    ours = [s / steps for s in seconds[mine][2:]]
                    print_ratio(
                        "sinc step, ours to the peer's",
                        ours,
                        later,
                        optimizer=mine,
                        peer=name,
                    )
                    report_time_to_loss(mine, name, seconds, losses)


def report_time_to_loss(mine, peer, seconds, losses):
    """How long it took us to what the peer reached in all its epochs."""
    reached = np.flatnonzero(np.array(losses[mine]) <= losses[peer][-1])
    epochs = int(reached[0]) + 1 if len(reached) else None
    print_figure(
        "seconds to the peer's last loss, without tracing",
        optimizer=mine,
        peer=peer,
        epochs=epochs,
        seconds=epochs and sum(seconds[mine][1:epochs]),
        of_the_peer=sum(seconds[peer][1:]),
    )


def sizes(options):
    """A step beside one gradient of the same batch."""
    x, y = (tf.constant(part) for part in sinc())
    for units in options.sizes:
        model = network(units)
        step = compiled_step(model, POINTS, options.jit)

        @tf.function(jit_compile=options.jit, autograph=False)
        def gradient(model=model):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean((model(x) - y) ** 2)
            variables = [v.value for v in model.trainable_variables]
            return tape.gradient(loss, variables)

        cases = {"step": lambda step=step: step(x, y), "gradient": gradient}
        for case in cases.values():
            case()
        seconds = interleaved(
            {
                name: lambda case=case: timed(case)
                for name, case in cases.items()
            },
            options.repeats,
        )
        print_ratio(
            "step to one gradient, 20,000 samples",
            seconds["step"],
            seconds["gradient"],
            weights=model.count_params(),
            peak_mebibytes=peak_mebibytes(),
        )


def timed(case):
    began = time.perf_counter()
    tf.nest.map_structure(lambda t: t.numpy(), case())
    return time.perf_counter() - began


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--torch", metavar="PYTHON")
    parser.add_argument("--tensorflow", metavar="PYTHON")
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--jit", action="store_true")
    parser.add_argument("--cpu-time", action="store_true")
    parser.add_argument(
        "--sizes",
        type=int,
        nargs="+",
        metavar="UNITS",
        help="units of the tanh layer: 20, 342 and 1667 for the sizes above",
    )
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    sizes(options) if options.sizes else compare(options)


if __name__ == "__main__":
    main()
