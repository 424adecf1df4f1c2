"""Diagonals by BackPACK, spectra by two others, all in float64.

Of the MLP of generate_matrices.py, with its weights and data. Needs torch,
backpack-for-pytorch (1.7.1), PyHessian (0.1) and hessian-eigenthings
(1.0.0a5); writes diagonals.npz beside itself. Vectors have the order of Keras's
weights.
"""

from pathlib import Path

import numpy as np
import torch
from backpack import backpack, extend
from backpack.extensions import DiagGGNExact, DiagHessian, SumGradSquared
from hessian_eigenthings import (
    HessianOperator,
    lanczos,
    spectral_density,
    supervised_loss,
)
from pyhessian import hessian

HERE = Path(__file__).parent


def network(matrices):
    layers = [torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 3)]
    model = torch.nn.Sequential(*layers).double()
    for k, layer in enumerate((model[0], model[2])):
        layer.weight.data = torch.tensor(matrices[f"mlp/w{2 * k}"].T.copy())
        layer.bias.data = torch.tensor(matrices[f"mlp/w{2 * k + 1}"])
    return model


def flat(model, attribute):
    parts = []
    for layer in (model[0], model[2]):
        parts.append(getattr(layer.weight, attribute).T.reshape(-1))
        parts.append(getattr(layer.bias, attribute))
    return torch.cat(parts).detach().numpy()


def main():
    matrices = np.load(HERE / "matrices.npz")
    x = torch.tensor(matrices["mlp/x"])
    results = {}
    for name, loss in (
        ("mse", torch.nn.MSELoss()),
        ("crossentropy", torch.nn.CrossEntropyLoss()),
    ):
        y = torch.tensor(matrices[f"mlp/{name}/y"])
        model = extend(network(matrices))
        value = extend(loss)(model(x), y)
        with backpack(DiagHessian(), DiagGGNExact(), SumGradSquared()):
            value.backward()
        results[f"{name}/Hessian"] = flat(model, "diag_h")
        results[f"{name}/GaussNewton"] = flat(model, "diag_ggn_exact")
        # Of the gradients of the samples' shares of the mean.
        results[f"{name}/squares"] = flat(model, "sum_grad_squared")
        torch.manual_seed(0)
        matrix = hessian(network(matrices), loss, data=(x, y), cuda=False)
        values, _ = matrix.eigenvalues(maxIter=20_000, tol=1e-15, top_n=3)
        # A tolerance of 0 takes all probes.
        terms = matrix.trace(maxIter=500, tol=0)
        results[f"{name}/traces"] = np.array([float(t) for t in terms])
        results[f"{name}/pyhessian"] = np.array(values)
        operator = HessianOperator(
            network(matrices), [(x, y)], supervised_loss(loss)
        )
        found = lanczos(operator, k=3, max_iter=31, tol=1e-14, which="LM")
        found = found.eigenvalues.numpy()
        results[f"{name}/eigenthings"] = found[np.argsort(-abs(found))]
        density = spectral_density(
            operator,
            num_runs=200,
            lanczos_steps=15,
            num_grid_points=40,
            sigma=0.3,
            seed=0,
        )
        results[f"{name}/grid"] = density.grid.numpy()
        results[f"{name}/density"] = density.density.numpy()
    np.savez_compressed(HERE / "diagonals.npz", **results)


if __name__ == "__main__":
    main()
