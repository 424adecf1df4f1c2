"""The peer's side of hessian_products.py; runs where torch is installed."""

import sys
import time

import torch
from _measure import interleaved, print_ratio
from torch import nn

try:
    import curvlinops
except ModuleNotFoundError:
    curvlinops = None


def mlp():
    return nn.Sequential(
        *(nn.Linear(784, 512), nn.Tanh(), nn.Linear(512, 512), nn.Tanh()),
        nn.Linear(512, 10),
    ), torch.randn(256, 784)


def cnn():
    layers, channels = [], 3
    for filters in (32, 64):
        for _ in range(2):
            layers += [nn.Conv2d(channels, filters, 3, padding=1), nn.ReLU()]
            channels = filters
        layers.append(nn.MaxPool2d(2))
    layers += [nn.Flatten(), nn.Linear(4096, 128), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(128, 10)), torch.randn(
        64, 3, 32, 32
    )


def products(model, x):
    y = torch.randint(0, 10, (len(x),))
    compute_loss = nn.CrossEntropyLoss()
    names, weights = zip(*model.named_parameters(), strict=True)
    vectors = tuple(torch.randn_like(w) for w in weights)

    def gradient(create_graph=False):
        loss = compute_loss(model(x), y)
        return torch.autograd.grad(loss, weights, create_graph=create_graph)

    def double_backward():
        return torch.autograd.grad(gradient(True), weights, vectors)

    def loss_of(*values):
        named = dict(zip(names, values, strict=True))
        return compute_loss(torch.func.functional_call(model, named, x), y)

    def jvp_of_gradient():
        of_all = torch.func.grad(loss_of, tuple(range(len(weights))))
        return torch.func.jvp(of_all, weights, vectors)[1]

    cases = {
        "gradient": gradient,
        "torch double backward": double_backward,
        "torch jvp of gradient": jvp_of_gradient,
    }
    if curvlinops is not None:
        flat = torch.cat([v.flatten() for v in vectors])
        for name in ("HessianLinearOperator", "GGNLinearOperator"):
            operator = getattr(curvlinops, name)(
                model,
                compute_loss,
                list(weights),
                [(x, y)],
                check_deterministic=False,
            )
            cases[f"curvlinops {name}"] = lambda o=operator: o @ flat
    return cases


def main():
    repeats, calls = map(int, sys.argv[1:])
    for make in (mlp, cnn):
        torch.manual_seed(0)
        cases = products(*make())

        def timed(function):
            began = time.perf_counter()
            for _ in range(calls):
                function()
            return (time.perf_counter() - began) / calls

        for function in cases.values():
            function()
        seconds = interleaved(
            {n: lambda f=f: timed(f) for n, f in cases.items()}, repeats
        )
        for name in cases:
            if name != "gradient":
                print_ratio(
                    "product over gradient",
                    seconds[name],
                    seconds["gradient"],
                    formulation=name,
                    network=make.__name__,
                )


if __name__ == "__main__":
    main()
