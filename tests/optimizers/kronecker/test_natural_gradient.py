"""Steps of K-FAC beside the natural gradient with the dense Fisher matrix."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_curvature.optimizers import KFAC
from tests.optimizers.helpers import weights
from tests.oracles import flat

L = keras.layers
N, CLASSES, DAMPING = 64, 3, 0.01


class Problem:
    """Three classes by a network of 115 weights, at its first weights."""

    def __init__(self, seed):
        keras.utils.set_random_seed(seed)
        rng = np.random.default_rng(seed)
        self.x = rng.normal(size=(N, 6))
        self.y = np.int64(self.x[:, 0] * self.x[:, 1] > 0)
        self.y += self.x[:, 2] > 0.5
        self.model = keras.Sequential(
            [
                keras.Input((6,)),
                L.Dense(8, "tanh"),
                L.Dense(8, "tanh"),
                L.Dense(CLASSES),
            ]
        )
        self.loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def gradients(self):
        """∇L, and (F + λ·I)⁻¹·∇L with F = E[Jᵀ·(diag(p) − p·pᵀ)·J]."""
        variables = self.model.trainable_variables
        with tf.GradientTape(persistent=True) as tape:
            logits = self.model(self.x)
            loss = self.loss(self.y, logits)
        gradient = flat(tape.gradient(loss, variables))
        jacobian = np.concatenate(
            [
                np.reshape(part, (N, CLASSES, -1))
                for part in tape.jacobian(logits, variables)
            ],
            axis=2,
        )
        p = tf.nn.softmax(logits).numpy()
        of_softmax = np.einsum("ni,ij->nij", p, np.eye(CLASSES))
        of_softmax -= np.einsum("ni,nj->nij", p, p)
        fisher = np.einsum(
            "nip,nij,njq->pq", jacobian, of_softmax, jacobian, optimize=True
        )
        shifted = fisher / N + DAMPING * np.eye(len(gradient))
        return gradient, np.linalg.solve(shifted, gradient)

    def step(self, optimizer):
        start = self.model.get_weights()
        before = weights(self.model)
        self.model.compile(optimizer, self.loss)
        self.model.train_on_batch(self.x, self.y)
        moved = before - weights(self.model)
        self.model.set_weights(start)
        return moved


def cosine(a, b):
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


@pytest.mark.parametrize("correction", [False, True], ids=["kfac", "ekfac"])
@pytest.mark.parametrize("seed", [0, 1])
def test_steps_lie_nearer_to_the_natural_gradient(seed, correction, float64):
    problem = Problem(seed)
    gradient, natural = problem.gradients()
    own = KFAC(
        momentum=0.0,
        kl_bound=None,
        fisher="exact",
        damping=DAMPING,
        eigenvalue_correction=correction,
    )
    others = (gradient, problem.step(keras.optimizers.Adam(0.01)))
    nearest = max(cosine(other, natural) for other in others)
    # Blocks of layers leave out what lies between the layers.
    assert cosine(problem.step(own), natural) > nearest + 0.1
