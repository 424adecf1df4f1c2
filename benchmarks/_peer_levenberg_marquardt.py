"""Trains the sinc network with a peer, one epoch for each line it reads.

A child of levenberg_marquardt.py, run by an interpreter that has the peer:
torch-levenberg-marquardt or tf-levenberg-marquardt. For each line it prints
the seconds of the epoch and the loss over all batches before their steps.
"""

import logging
import sys
import time

import numpy as np


def torch_step(weights, threads):
    import torch
    import torch_levenberg_marquardt as tlm

    torch.set_num_threads(threads)
    model = torch.nn.Sequential(
        torch.nn.Linear(1, 20), torch.nn.Tanh(), torch.nn.Linear(20, 1)
    )
    with torch.no_grad():
        for parameter, value in zip(model.parameters(), weights, strict=True):
            parameter.copy_(torch.tensor(value.T))
    module = tlm.training.LevenbergMarquardtModule(
        model=model, loss_fn=tlm.loss.MSELoss(), solve_method="cholesky"
    )

    def step(x, y):
        module.training_step(x, y)

    def loss(x, y):
        return ((model(x) - y) ** 2).mean().item()

    return step, loss, torch.tensor


def tensorflow_step(weights, threads):
    import keras
    import tensorflow as tf
    import tf_levenberg_marquardt as tflm

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    model = keras.Sequential(
        [
            keras.Input((1,)),
            keras.layers.Dense(20, activation="tanh"),
            keras.layers.Dense(1),
        ]
    )
    model.set_weights(weights)
    trainer = tflm.training.Trainer(
        model=model,
        optimizer=keras.optimizers.SGD(learning_rate=1.0),
        loss=tflm.loss.MeanSquaredError(),
    )

    def step(x, y):
        trainer.train_step(x, y)

    def loss(x, y):
        return float(tf.reduce_mean((model(x) - y) ** 2))

    return step, loss, tf.constant


def main():
    # A line for each failed factorization, otherwise.
    logging.disable()
    peer, path, clock = sys.argv[1:]
    now = getattr(time, clock)
    with np.load(path) as data:
        x, y, order = data["x"], data["y"], data["order"]
        weights = [data[f"weight_{i}"] for i in range(4)]
    make = {"torch": torch_step, "tensorflow": tensorflow_step}[peer]
    step, loss, tensor = make(weights, 1 if clock == "process_time" else 2)
    for line in sys.stdin:
        batches = [
            (tensor(x[part]), tensor(y[part])) for part in order[int(line)]
        ]
        began = now()
        for batch in batches:
            step(*batch)
        seconds = now() - began
        print(seconds, loss(tensor(x), tensor(y)), flush=True)


if __name__ == "__main__":
    main()
