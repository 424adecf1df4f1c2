"""The update rules of the papers in NumPy, on losses with diagonal Hessians.

There z∘Hz is the diagonal itself for every Rademacher z.
"""

import keras
import numpy as np
import tensorflow as tf

A = np.geomspace(0.1, 10, 6)
START = np.linspace(-1.4, 1.3, 6)


def gradient(w, scale):
    """Of L(w) = scale · Σ aᵢ (1 − cos wᵢ), whose Hessian is diagonal."""
    return scale * A * np.sin(w)


def diagonal(w, scale):
    return scale * A * np.cos(w)


def adahessian(w, state, g, d, rate, settings):
    """Algorithm 1 of arXiv 2006.00719; d is None between updates."""
    beta_1, beta_2 = settings["beta_1"], settings["beta_2"]
    state["t"] += 1
    state["m"] = beta_1 * state["m"] + (1 - beta_1) * g
    if d is not None:
        state["k"] += 1
        state["h"] = beta_2 * state["h"] + (1 - beta_2) * d**2
    m = state["m"] / (1 - beta_1 ** state["t"])
    h = state["h"] / (1 - beta_2 ** state["k"])
    return w - rate * m / (np.sqrt(h) + settings["epsilon"])


def sophia(w, state, g, d, rate, settings):
    """Algorithm 3 of arXiv 2305.14342; d is None between updates."""
    beta_1, beta_2 = settings["beta_1"], settings["beta_2"]
    state["t"] += 1
    state["m"] = beta_1 * state["m"] + (1 - beta_1) * g
    if d is not None:
        state["k"] += 1
        state["h"] = beta_2 * state["h"] + (1 - beta_2) * d
    m, h = state["m"], state["h"]
    if settings.get("bias_correction"):
        m = m / (1 - beta_1 ** state["t"])
        h = h / (1 - beta_2 ** state["k"])
    h = np.maximum(settings["rho"] * h, settings["epsilon"])
    return w - rate * np.clip(m / h, -1, 1)


def path(rule, settings, scales, period=1, rate=lambda t: 0.1, clip=None):
    """The weights after each step; `scales` holds a list for each step.

    A step's gradient and diagonal are the means over its list.
    """
    w = START.copy()
    state = {"t": 0, "k": 0, "m": np.zeros_like(w), "h": np.zeros_like(w)}
    points = []
    for t, parts in enumerate(scales):
        g = np.mean([gradient(w, scale) for scale in parts], axis=0)
        d = np.mean([diagonal(w, scale) for scale in parts], axis=0)
        if clip is not None:
            g = clip(g)
        d = d if t % period == 0 else None
        w = rule(w, state, g, d, rate(t), settings)
        points.append(w)
    return np.array(points)


def path_of(optimizer, scales, constraint=None):
    """The weights that a Keras optimizer reaches, one call for each scale."""
    weights = keras.Variable(START)
    weights.constraint = constraint
    optimizer.build([weights])

    # Rewriting Python takes longer than all the rest.
    @tf.function(autograph=False)
    def step(scale):
        with tf.GradientTape() as tape:
            w = weights.value
            loss = scale * tf.reduce_sum(A * (1 - tf.cos(w)))
            loss = optimizer.scale_loss(loss)
        optimizer.apply(tape.gradient(loss, [weights.value]), [weights])

    points = []
    for scale in scales:
        step(tf.constant(scale, weights.dtype))
        points.append(weights.numpy())
    return np.array(points), weights
