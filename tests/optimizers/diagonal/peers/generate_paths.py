"""Paths of other implementations on a loss with a diagonal Hessian.

Needs torch, pytorch_optimizer, jax and optax; writes paths.npz beside itself.
There z∘Hz is the exact diagonal for every Rademacher z, so that the paths do
not depend on anybody's random numbers.
"""

from pathlib import Path

import jax
import numpy as np
import optax
import torch
from optax.contrib import sophia
from pytorch_optimizer import AdaHessian, SophiaH

STEPS = 100
RATE, RHO, EPSILON = 0.02, 0.3, 1e-8
A = np.geomspace(0.03, 30, 12)
START = np.random.default_rng(0).uniform(-2, 2, 12)

# The Hessian, diag(a cos w + w²), has negative entries near |w| = π/2 for
# large a.


def torch_path(make):
    """`START` and the weights after each step, from a torch optimizer."""
    weights = torch.nn.Parameter(torch.tensor(START))
    a = torch.tensor(A)
    optimizer = make([weights])
    path = [START]
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = (a * (1 - torch.cos(weights)) + weights**4 / 12).sum()
        loss.backward(create_graph=True)
        optimizer.step()
        path.append(weights.detach().numpy().copy())
    return np.array(path)


def sophia_of_torch(weights, period, weight_decay=0.0):
    """lr · clip(m / max(h, eps), ±p), with Sophia's η, ρ and ε in it."""
    return SophiaH(
        weights,
        lr=RATE / RHO,
        betas=(0.96, 0.99),
        p=RHO,
        eps=EPSILON / RHO,
        update_period=period,
        # η · weight_decay is what is taken off, not lr · weight_decay.
        weight_decay=weight_decay * RHO,
        hessian_distribution="rademacher",
    )


def optax_path(period):
    """The same from optax, with the diagonal taken before the step.

    optax takes it after. Calling it once more at the same point where it is
    due, and leaving out that first update, gives the paper's order; with
    b1=0 the additional call leaves no other trace.
    """
    optimizer = sophia(
        RATE,
        weight_decay=0.0,
        b1=0.0,
        b2=0.99,
        eps=EPSILON,
        gamma=RHO,
        update_interval=period + 1,
    )

    def loss(weights):
        return jax.numpy.sum(A * (1 - jax.numpy.cos(weights)) + weights**4 / 12)

    weights = jax.numpy.array(START)
    state = optimizer.init(weights)
    path = [START]
    for step in range(STEPS):
        for _ in range(2 if step % period == 0 else 1):
            updates, state = optimizer.update(
                jax.grad(loss)(weights), state, weights, obj_fn=loss
            )
        weights = optax.apply_updates(weights, updates)
        path.append(np.array(weights))
    return np.array(path)


def main():
    torch.set_default_dtype(torch.float64)
    jax.config.update("jax_enable_x64", True)
    paths = {
        "a": A,
        "adahessian": torch_path(lambda w: AdaHessian(w, lr=0.1, eps=1e-4)),
        "adahessian_power": torch_path(
            lambda w: AdaHessian(
                w,
                lr=0.05,
                betas=(0.8, 0.99),
                hessian_power=0.5,
                weight_decay=0.125,
                eps=1e-6,
            )
        ),
        "sophia_torch": torch_path(lambda w: sophia_of_torch(w, period=10)),
        "sophia_torch_every": torch_path(
            lambda w: sophia_of_torch(w, period=1, weight_decay=0.125)
        ),
        "sophia_optax": optax_path(period=10),
        "sophia_optax_every": optax_path(period=1),
    }
    np.savez_compressed(Path(__file__).with_name("paths.npz"), **paths)


if __name__ == "__main__":
    main()
