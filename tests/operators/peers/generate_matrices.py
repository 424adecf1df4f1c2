"""Curvature matrices of small networks by curvlinops, in float64.

Needs torch and curvlinops-for-pytorch; writes matrices.npz beside itself, with
weights and data. Weights have the shapes and order of Keras, so that the
matrices can be compared entry by entry.
"""

from pathlib import Path

import numpy as np
import torch
from curvlinops import (
    EFLinearOperator,
    GGNLinearOperator,
    HessianLinearOperator,
)
from torch.nn.functional import conv2d

SAMPLES = 7


class Network(torch.nn.Module):
    """A network over weights in the shapes of Keras."""

    def __init__(self, weights):
        super().__init__()
        self.weights = torch.nn.ParameterList(
            [torch.nn.Parameter(torch.tensor(w)) for w in weights]
        )


class MLP(Network):
    SHAPES = ((3, 4), (4,), (4, 3), (3,))
    INPUTS = (3,)

    def forward(self, x):
        a, b, c, d = self.weights
        return torch.tanh(x @ a + b) @ c + d


class CNN(Network):
    SHAPES = ((3, 3, 1, 2), (2,), (8, 3), (3,))
    INPUTS = (4, 4, 1)

    def forward(self, x):
        a, b, c, d = self.weights
        hidden = conv2d(x.permute(0, 3, 1, 2), a.permute(3, 2, 0, 1), b)
        hidden = torch.tanh(hidden.permute(0, 2, 3, 1))
        return hidden.flatten(1) @ c + d


def main():
    random = np.random.default_rng(0)
    results = {}
    for kind in (MLP, CNN):
        weights = [random.normal(size=s) for s in kind.SHAPES]
        x = random.normal(size=(SAMPLES, *kind.INPUTS))
        targets = {
            "mse": (torch.nn.MSELoss(), random.normal(size=(SAMPLES, 3))),
            "crossentropy": (
                torch.nn.CrossEntropyLoss(),
                random.integers(0, 3, SAMPLES),
            ),
        }
        name = kind.__name__.lower()
        results |= {f"{name}/w{k}": w for k, w in enumerate(weights)}
        results[f"{name}/x"] = x
        for loss, (function, y) in targets.items():
            results[f"{name}/{loss}/y"] = y
            # Two batches, the last one smaller.
            data = [
                (torch.tensor(x[rows]), torch.tensor(y[rows]))
                for rows in (slice(0, 4), slice(4, None))
            ]
            for operator in (
                HessianLinearOperator,
                GGNLinearOperator,
                EFLinearOperator,
            ):
                model = kind(weights)
                matrix = operator(
                    model, function, list(model.parameters()), data
                )
                dense = matrix @ torch.eye(matrix.shape[1], dtype=torch.float64)
                key = f"{name}/{loss}/{operator.__name__[:-14]}"
                results[key] = dense.detach().numpy()
    np.savez_compressed(Path(__file__).with_name("matrices.npz"), **results)


if __name__ == "__main__":
    main()
