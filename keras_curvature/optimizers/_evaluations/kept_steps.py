"""Trial steps of a trust region that are kept for after a rejection."""

import numpy as np
import tensorflow as tf

from keras_curvature.linalg.dot import dot, first, norm, outer
from keras_curvature.optimizers._common.trust_region import radii_of_path

# How many steps are kept from one path, for radii that are quarters of
# quarters of the trust radius: after a rejected trial the next is there
# without another product.
KEPT = 4


def shortened(state):
    """After a rejected trial: the kept step of at most half the length.

    A quarter of the step itself where none is kept.

    Args:
        state: Dict with the `path_…` keys; the first step was tried.
    """
    lengths = state["path_lengths"]
    is_shorter = lengths <= first(lengths) / 2
    is_kept = tf.reduce_any(is_shorter)
    index = tf.argmax(tf.cast(is_shorter, tf.int32))

    def replaced(rows, factors):
        quarter = tf.constant(factors, rows.dtype) * first(rows)
        chosen = tf.where(is_kept, tf.gather(rows, index), quarter)
        return tf.where(np.arange(KEPT)[:, np.newaxis] == 0, chosen, rows)

    names = ("path_slopes", "path_curvatures", "path_lengths")
    numbers = tf.stack([state[name] for name in names], axis=1)
    numbers = tf.unstack(replaced(numbers, [1 / 4, 1 / 16, 1 / 4]), axis=1)
    return {
        "path_steps": replaced(state["path_steps"], 1 / 4),
        **dict(zip(names, numbers, strict=True)),
    }


def probe(gradient):
    """A fixed random direction, which no eigenvector is orthogonal to."""
    return tf.random.stateless_normal(
        gradient.shape, seed=[1983, 20], dtype=gradient.dtype
    )


def away_from_saddle(found, gradient, radius):
    """Steps along a direction of negative curvature; none without one."""
    direction = found.direction
    length = norm(direction)
    slope = dot(gradient, direction)
    # Downhill, or either way where there is no slope.
    sign = tf.where(slope > 0, -tf.ones_like(slope), tf.ones_like(slope))
    scale = tf.where(
        found.negative_curvature & (length > 0),
        sign / length,
        tf.zeros_like(length),
    )
    parts = radii_of_path(radius, KEPT)
    return found._replace(
        steps=outer(parts * scale, direction),
        slopes=parts * scale * slope,
        curvatures=tf.square(parts * scale) * found.direction_curvature,
        lengths=parts,
    )
