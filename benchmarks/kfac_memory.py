"""How much memory does KFAC take over Adam, and does it grow?

Each figure comes from a fresh process, which prints its resident memory, in
MiB, with the model and before the first step, after 200 steps and after
--steps, and the most it has held. Networks: the digits' MLP of
`steps_to_loss.py`, and 784-512-512-10 with batches of 256.
"""

import argparse
import subprocess
import sys

from _measure import peak_mebibytes, print_figure, resident_mebibytes

NETWORKS = ("digits", "mlp")
OPTIMIZERS = ("adam", "kfac")


def child(network, name, steps):
    import keras

    from keras_curvature.optimizers import KFAC

    model, batches = _problem(network)
    optimizer = KFAC(1e-3) if name == "kfac" else keras.optimizers.Adam(1e-3)
    model.compile(
        optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    model.make_train_function()
    figures = {"before": resident_mebibytes()}
    for step in range(1, steps + 1):
        model.train_function(batches)
        if step in (200, steps):
            figures[f"after_{step}"] = resident_mebibytes()
    print_figure(
        "resident memory of training",
        network=network,
        optimizer=name,
        **figures,
        peak=peak_mebibytes(),
    )


def _problem(network):
    """A model and an endless iterator of batches."""
    if network == "digits":
        from _problems import digits

        model, train, *_ = digits()
        return model, train(0)
    import tensorflow as tf
    from _networks import make

    model, x, y = make(network)
    return model, iter(tf.data.Dataset.from_tensors((x, y)).cache().repeat())


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--networks", nargs="+", default=NETWORKS)
    parser.add_argument("--steps", type=int, default=2_000)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child is not None:
        child(*options.child, options.steps)
        return
    for network in options.networks:
        for name in OPTIMIZERS:
            command = [sys.executable, __file__, "--child", network, name]
            command += ["--steps", str(options.steps)]
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
