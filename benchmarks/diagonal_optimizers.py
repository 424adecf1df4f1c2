"""What does a training step with AdaHessian, Sophia or KFAC cost over Adam's?

Prints one JSON line per network, mode and optimizer: the ratio of the median
time of a step to that of Adam on the same network, with the spread (the
smallest and largest ratio of one round). With --peer-python, an interpreter
that has torch and pytorch_optimizer, the same for pytorch_optimizer's
optimizers over torch's Adam, measured in rounds between ours.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
PEER = Path(__file__).with_name("_torch_steps.py")


def main():
    arguments = _parser().parse_args()
    for network in arguments.networks:
        for jit in arguments.jit:
            contestants = _contestants(
                network, jit == "jit", CLOCKS[arguments.clock]
            )
            if arguments.peer_python and jit == "plain":
                contestants |= _peers(
                    arguments.peer_python, network, arguments.clock
                )
            _warm_up(contestants)
            rounds = [
                {
                    name: step(arguments.steps)
                    for name, step in contestants.items()
                }
                for _ in range(arguments.rounds)
            ]
            for name in contestants:
                _report(network, jit, name, rounds)


def _parser():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--networks", nargs="+", default=["mlp", "cnn", "transformer"]
    )
    parser.add_argument("--jit", nargs="+", default=["plain", "jit"])
    parser.add_argument(
        "--steps",
        type=int,
        default=10,
        help="steps a round, a multiple of 10 so that Sophia and KFAC update "
        "as often in each (default: 10)",
    )
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument(
        "--clock",
        choices=sorted(CLOCKS),
        default="wall",
        help="wall time, or the processor time of the process, which says "
        "more on a busy machine (default: wall)",
    )
    parser.add_argument("--peer-python", help="interpreter with torch")
    return parser


def _contestants(network, jit, clock):
    import keras

    from keras_curvature.optimizers import KFAC, AdaHessian, Sophia

    return {
        "adam": _keras_step(network, keras.optimizers.Adam(1e-5), jit, clock),
        "adahessian": _keras_step(network, AdaHessian(1e-5), jit, clock),
        "sophia": _keras_step(network, Sophia(1e-5), jit, clock),
        "kfac": _keras_step(network, KFAC(1e-5), jit, clock),
    }


def _keras_step(network, optimizer, jit, clock):
    """A function that times n training steps of `fit`'s own function."""
    import keras
    import tensorflow as tf
    from _networks import make

    model, x, y = make(network)
    model.compile(
        optimizer,
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=jit,
    )
    data = tf.data.Dataset.from_tensors((x, y)).cache().repeat()
    model.make_train_function()
    train = model.train_function
    iterator = iter(data)

    def step(count):
        start = clock()
        for _ in range(count):
            logs = train(iterator)
        float(logs["loss"])
        return (clock() - start) / count

    return step


def _peers(python, network, clock):
    """The same functions, answered by a child process with torch."""
    child = subprocess.Popen(
        [python, str(PEER), network, clock],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def stepper(name):
        def step(count):
            child.stdin.write(f"{name} {count}\n")
            child.stdin.flush()
            return float(child.stdout.readline())

        return step

    return {
        f"torch {name}": stepper(name)
        for name in ("adam", "adahessian", "sophia")
    }


def _warm_up(contestants):
    for step in contestants.values():
        step(11)


def _report(network, jit, name, rounds):
    baseline = "torch adam" if name.startswith("torch") else "adam"
    if name == baseline:
        return
    times = [entry[name] for entry in rounds]
    ratios = [entry[name] / entry[baseline] for entry in rounds]
    figure = {
        "network": network,
        "mode": jit,
        "optimizer": name,
        "baseline": baseline,
        "ratio": round(statistics.median(ratios), 3),
        "lowest": round(min(ratios), 3),
        "highest": round(max(ratios), 3),
        "milliseconds": round(1e3 * statistics.median(times), 3),
        "rounds": len(rounds),
    }
    print(json.dumps(figure), flush=True)


if __name__ == "__main__":
    sys.exit(main())
