"""Answers the tasks of microscope.py with curvlinops or PyHessian."""

import json
import sys
import time

import numpy as np


def problem(path):
    """Model, loss function and data in torch."""
    import torch
    from torch import nn

    with np.load(path) as arrays:
        x = torch.tensor(arrays["x"], dtype=torch.float32)
        y = torch.tensor(arrays["y"], dtype=torch.int64)
        kernels = [torch.tensor(arrays[f"kernel{k}"]) for k in range(3)]
    layers = []
    for kernel in kernels:
        layer = nn.Linear(*kernel.shape)
        layer.weight.data.copy_(kernel.T)
        layer.bias.data.zero_()
        layers += [layer, nn.Tanh()]
    return nn.Sequential(*layers[:-1]), nn.CrossEntropyLoss(), (x, y)


class Curvlinops:
    """Products of its Hessian, ARPACK for eigenvalues, its own estimators."""

    def __init__(self, path, settings):
        from curvlinops import HessianLinearOperator

        model, loss, (x, y) = problem(path)
        size = settings["batch_size"]
        self._settings = settings
        self._operator = HessianLinearOperator(
            model,
            loss,
            [p for p in model.parameters() if p.requires_grad],
            list(zip(x.split(size), y.split(size), strict=True)),
            check_deterministic=False,
        )

    def eigenvalues(self):
        from scipy.sparse.linalg import eigsh

        values = eigsh(
            self._operator.to_scipy(),
            k=5,
            which="LM",
            return_eigenvectors=False,
            tol=self._settings["tolerance"],
        )
        return values.tolist()

    def trace(self):
        from curvlinops import hutchinson_trace

        probes = self._settings["probes"]
        return [float(hutchinson_trace(self._operator, num_matvecs=probes))]

    def density(self):
        from curvlinops.papyan2020traces.spectrum import (
            lanczos_approximate_spectrum,
        )

        lanczos_approximate_spectrum(
            self._operator,
            self._settings["steps"],
            num_repeats=self._settings["runs"],
        )
        # A curve, not nodes.


class PyHessian:
    """With all data as one batch, whose gradient it computes but once."""

    def __init__(self, path, settings):
        from pyhessian import hessian

        self._settings = settings
        model, loss, data = problem(path)
        self._hessian = hessian(model, loss, data=data, cuda=False)

    def eigenvalues(self):
        values, _ = self._hessian.eigenvalues(
            maxIter=self._settings["power_iterations"],
            tol=self._settings["tolerance"],
            top_n=5,
        )
        return values

    def trace(self):
        # A tolerance of 0 takes all probes.
        probes = self._settings["probes"]
        return [float(np.mean(self._hessian.trace(maxIter=probes, tol=0)))]

    def density(self):
        nodes, _ = self._hessian.density(
            iter=self._settings["steps"], n_v=self._settings["runs"]
        )
        return [float(max(np.ravel(nodes), key=abs))]


def main():
    name, path, settings = sys.argv[1:]
    settings = json.loads(settings)
    kinds = {"curvlinops": Curvlinops, "pyhessian": PyHessian}
    failure = peer = None
    try:
        import torch

        torch.set_num_threads(settings["threads"])
        peer = kinds[name](path, settings)
    except ImportError as error:
        failure = f"not installed: {error}"
    for line in sys.stdin:
        began = time.perf_counter()
        try:
            answer = {"result": getattr(peer, line.strip())()}
        except Exception as error:
            reason = str(error).splitlines()[0] if str(error) else ""
            answer = {"error": f"{type(error).__name__}: {reason}"}
        if failure is not None:
            answer = {"error": failure}
        answer["seconds"] = time.perf_counter() - began
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
