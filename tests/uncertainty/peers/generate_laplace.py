r"""Writes laplace.npz: posteriors of laplace-torch in float64.

    pip install torch==2.13.0 torchmetrics scipy tqdm opt-einsum einops
    pip install --no-deps laplace-torch==0.3 curvlinops-for-pytorch==3.0.1 \
        backpack-for-pytorch asdfghjkl==0.1a4 einconv
    python tests/uncertainty/peers/generate_laplace.py

(without its dependencies, because torchvision, which is not used here, asks
for another torch).

Two small networks with drawn weights, which need not be at a minimum: a
regression with noise 0.3 and a classification, both with the prior precision
0.7. Of each structure: log marginal likelihood, and at the first inputs the
means, covariances and, for classes, the probabilities.
"""

import itertools
import pathlib

import numpy as np
import torch
from laplace import Laplace

PRIOR, NOISE, SAMPLES, PREDICTED = 0.7, 0.3, 30, 8
STRUCTURES = {
    "full": ("all", "full"),
    "diagonal": ("all", "diag"),
    "kron": ("all", "kron"),
    "last_layer": ("last_layer", "full"),
}


def network(sizes, rng):
    layers = []
    for inputs, outputs in itertools.pairwise(sizes):
        layer = torch.nn.Linear(inputs, outputs)
        kernel = rng.normal(size=(outputs, inputs)) / np.sqrt(inputs)
        layer.weight.data = torch.tensor(kernel)
        layer.bias.data = torch.tensor(0.1 * rng.normal(size=outputs))
        layers += [layer, torch.nn.Tanh()]
    return torch.nn.Sequential(*layers[:-1])


def posterior(kind, model, x, y, weights, structure):
    laplace = Laplace(
        model,
        kind,
        subset_of_weights=weights,
        hessian_structure=structure,
        prior_precision=PRIOR,
        **({"sigma_noise": NOISE} if kind == "regression" else {}),
    )
    data = torch.utils.data.TensorDataset(x, y)
    laplace.fit(torch.utils.data.DataLoader(data, batch_size=10))
    mean, covariance = laplace._glm_predictive_distribution(x[:PREDICTED])
    found = {
        "evidence": laplace.log_marginal_likelihood(),
        "mean": mean,
        "covariance": covariance,
    }
    if kind == "classification":
        for link in ("probit", "bridge"):
            found[link] = laplace(x[:PREDICTED], link_approx=link)
    return {k: v.detach().numpy() for k, v in found.items()}


def main():
    torch.set_default_dtype(torch.float64)
    rng = np.random.default_rng(0)
    arrays = {}
    for kind, sizes in (
        ("regression", (2, 5, 2)),
        ("classification", (3, 6, 4, 3)),
    ):
        x = rng.normal(size=(SAMPLES, sizes[0]))
        if kind == "regression":
            y = rng.normal(size=(SAMPLES, sizes[-1]))
        else:
            y = rng.integers(0, sizes[-1], SAMPLES)
        model = network(sizes, rng)
        arrays |= {f"{kind}/x": x, f"{kind}/y": y}
        for k, weights in enumerate(model.parameters()):
            # As Keras holds them.
            arrays[f"{kind}/weights/{k}"] = weights.detach().numpy().T
        for name, (weights, structure) in STRUCTURES.items():
            found = posterior(
                kind,
                model,
                torch.tensor(x),
                torch.tensor(y),
                weights,
                structure,
            )
            arrays |= {f"{kind}/{name}/{k}": v for k, v in found.items()}
    path = pathlib.Path(__file__).parent / "laplace.npz"
    np.savez_compressed(path, **arrays)
    print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
