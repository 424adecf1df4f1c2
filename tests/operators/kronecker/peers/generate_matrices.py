"""Kronecker-factored matrices of small networks by curvlinops, in float64.

Needs torch and curvlinops-for-pytorch (3.0.1); writes matrices.npz beside
itself, with weights and data. Weights have the shapes and order of Keras, so
that the matrices can be compared entry by entry.
"""

from pathlib import Path

import numpy as np
import torch
from curvlinops import KFACLinearOperator

SAMPLES, CLASSES = 5, 3
CASES = (
    ("convolution", "crossentropy", "type-2", "expand"),
    ("convolution", "crossentropy", "empirical", "reduce"),
    ("convolution", "mse", "type-2", "expand"),
    ("positions", "crossentropy", "empirical", "expand"),
    ("positions", "crossentropy", "type-2", "reduce"),
    ("positions", "mse", "type-2", "reduce"),
)


class Convolution(torch.nn.Module):
    INPUTS = (5, 4, 2)

    def __init__(self):
        super().__init__()
        self.layers = torch.nn.ModuleList(
            [torch.nn.Conv2d(2, 3, 2, stride=2), torch.nn.Linear(12, CLASSES)]
        )

    def forward(self, x):
        h = torch.tanh(self.layers[0](x.permute(0, 3, 1, 2)))
        return self.layers[1](h.permute(0, 2, 3, 1).flatten(1))


class Positions(torch.nn.Module):
    INPUTS = (6, 4)

    def __init__(self):
        super().__init__()
        self.layers = torch.nn.ModuleList(
            [torch.nn.Linear(4, 3), torch.nn.Linear(3, CLASSES)]
        )

    def forward(self, x):
        return self.layers[1](torch.tanh(self.layers[0](x)).mean(1))


def axes_of_keras(weight):
    """The axes of a weight in the order that Keras has them."""
    return {4: (2, 3, 1, 0), 2: (1, 0), 1: (0,)}[weight.ndim]


def order_of_keras(weights):
    """For each entry of the weights of Keras its place among those of torch."""
    places, start = [], 0
    for w in weights:
        own = np.arange(start, start + w.numel()).reshape(w.shape)
        places.append(own.transpose(axes_of_keras(w)).ravel())
        start += w.numel()
    return np.concatenate(places)


def main():
    torch.manual_seed(0)
    random = np.random.default_rng(0)
    losses = {
        "crossentropy": torch.nn.CrossEntropyLoss(),
        "mse": torch.nn.MSELoss(),
    }
    targets = {
        "crossentropy": random.integers(0, CLASSES, SAMPLES),
        "mse": random.normal(size=(SAMPLES, CLASSES)),
    }
    results = {f"{loss}/y": target for loss, target in targets.items()}
    for kind in (Convolution, Positions):
        name = kind.__name__.lower()
        network = kind().double()
        weights = list(network.parameters())
        order = order_of_keras(weights)
        x = random.normal(size=(SAMPLES, *kind.INPUTS))
        results[f"{name}/x"] = x
        for k, w in enumerate(weights):
            array = w.detach().numpy().transpose(axes_of_keras(w))
            results[f"{name}/weights/{k}"] = array
        for own, loss, fisher, sharing in CASES:
            if own != name:
                continue
            operator = KFACLinearOperator(
                network,
                losses[loss],
                weights,
                [(torch.tensor(x), torch.tensor(targets[loss]))],
                fisher_type=fisher,
                kfac_approx=sharing,
                separate_weight_and_bias=False,
            )
            units = torch.eye(len(order), dtype=torch.float64)
            dense = (operator @ units).numpy()[order][:, order]
            results[f"{name}/{loss}/{fisher}/{sharing}"] = dense
    np.savez_compressed(Path(__file__).with_name("matrices.npz"), **results)


if __name__ == "__main__":
    main()
