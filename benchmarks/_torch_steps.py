"""Times steps of torch's optimizers, one request a line: name and count.

A child of diagonal_optimizers.py; needs torch and pytorch_optimizer.
"""

import sys
import time

import numpy as np
import torch
from pytorch_optimizer import AdaHessian, SophiaH
from torch import nn


def mlp():
    return nn.Sequential(
        nn.Linear(784, 512),
        nn.Tanh(),
        nn.Linear(512, 512),
        nn.Tanh(),
        nn.Linear(512, 10),
    ), (256, 784)


def cnn():
    def conv(inputs, outputs):
        return [nn.Conv2d(inputs, outputs, 3, padding="same"), nn.ReLU()]

    return nn.Sequential(
        *conv(3, 32),
        *conv(32, 32),
        nn.MaxPool2d(2),
        *conv(32, 64),
        *conv(64, 64),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(64 * 8 * 8, 128),
        nn.ReLU(),
        nn.Linear(128, 10),
    ), (64, 3, 32, 32)


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(128, 4, batch_first=True)
        self.first = nn.LayerNorm(128)
        self.dense = nn.Sequential(
            nn.Linear(128, 512), nn.GELU(), nn.Linear(512, 128)
        )
        self.second = nn.LayerNorm(128)

    def forward(self, x):
        x = self.first(x + self.attention(x, x, x)[0])
        return self.second(x + self.dense(x))


class Mean(nn.Module):
    def forward(self, x):
        return x.mean(1)


def transformer():
    return nn.Sequential(Encoder(), Encoder(), Mean(), nn.Linear(128, 10)), (
        16,
        64,
        128,
    )


OPTIMIZERS = {
    "adam": (lambda p: torch.optim.Adam(p, lr=1e-5), lambda step: False),
    "adahessian": (lambda p: AdaHessian(p, lr=1e-5), lambda step: True),
    # The second graph is needed only in steps that estimate the Hessian.
    "sophia": (
        lambda p: SophiaH(p, lr=1e-5, update_period=10),
        lambda step: step % 10 == 0,
    ),
}


def stepper(network, name, clock):
    torch.manual_seed(0)
    model, shape = network()
    make, create_graph = OPTIMIZERS[name]
    optimizer = make(model.parameters())
    loss_fn = nn.CrossEntropyLoss()
    random = np.random.default_rng(0)
    x = torch.tensor(random.standard_normal(shape).astype("float32"))
    y = torch.tensor(random.integers(0, 10, shape[0]))
    taken = 0

    def steps(count):
        nonlocal taken
        start = clock()
        for _ in range(count):
            optimizer.zero_grad()
            loss_fn(model(x), y).backward(create_graph=create_graph(taken))
            optimizer.step()
            taken += 1
        return (clock() - start) / count

    return steps


def main():
    clock = time.process_time if sys.argv[2] == "cpu" else time.perf_counter
    network = {"mlp": mlp, "cnn": cnn, "transformer": transformer}[sys.argv[1]]
    steppers = {name: stepper(network, name, clock) for name in OPTIMIZERS}
    for line in sys.stdin:
        name, count = line.split()
        print(steppers[name](int(count)), flush=True)


if __name__ == "__main__":
    main()
