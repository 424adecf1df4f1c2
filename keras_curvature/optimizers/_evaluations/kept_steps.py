"""Trial steps of a trust region that are kept for after a rejection."""

import numpy as np
import tensorflow as tf

from keras_curvature.linalg.dot import dot
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
    is_shorter = lengths <= lengths[0] / 2
    is_kept = tf.reduce_any(is_shorter)
    index = tf.argmax(tf.cast(is_shorter, tf.int32))

    def first(name, power):
        values = state[name]
        factor = tf.constant(0.25**power, values.dtype)
        chosen = tf.where(
            is_kept, tf.gather(values, index), factor * tf.gather(values, 0)
        )
        is_first = np.arange(KEPT) == 0
        is_first = is_first.reshape([KEPT] + [1] * (values.shape.rank - 1))
        return tf.where(is_first, chosen, values)

    return {
        "path_steps": first("path_steps", 1),
        "path_slopes": first("path_slopes", 1),
        "path_curvatures": first("path_curvatures", 2),
        "path_lengths": first("path_lengths", 1),
    }


def probe(gradient):
    """A fixed random direction, which no eigenvector is orthogonal to."""
    return tf.random.stateless_normal(
        gradient.shape, seed=[1983, 20], dtype=gradient.dtype
    )


def away_from_saddle(found, gradient, radius):
    """Steps along a direction of negative curvature; none without one."""
    direction = found.direction
    length = tf.norm(direction)
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
        steps=parts[:, tf.newaxis] * scale * direction,
        slopes=parts * scale * slope,
        curvatures=(parts * scale) ** 2 * found.direction_curvature,
        lengths=parts,
    )
