"""Trial steps of a trust region that are kept for after a rejection."""

import tensorflow as tf

# Radii of the steps kept from one path, as parts of the trust radius: after
# a rejected trial the next is there without another product.
KEPT_RADII = (1.0, 0.25, 0.0625, 0.015625)


def shortened(state):
    """After a rejected trial: the kept step of at most half the length.

    A quarter of the step itself where none is kept.

    Args:
        state: Dict with `steps`, `slopes`, `curvatures` and `lengths` as
            `SteihaugSteps` has them; the first is the step that was tried.
    """
    lengths = state["lengths"]
    shorter = lengths <= lengths[0] / 2
    kept = tf.reduce_any(shorter)
    index = tf.argmax(tf.cast(shorter, tf.int32))

    def first(name, power):
        values = state[name]
        factor = tf.constant(0.25**power, values.dtype)
        chosen = tf.where(kept, tf.gather(values, index), factor * values[0])
        return tf.concat([chosen[tf.newaxis], values[1:]], axis=0)

    return {
        "steps": first("steps", 1),
        "slopes": first("slopes", 1),
        "curvatures": first("curvatures", 2),
        "lengths": first("lengths", 1),
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
    slope = tf.tensordot(gradient, direction, 1)
    # Downhill, or either way where there is no slope.
    sign = tf.where(slope > 0, -tf.ones_like(slope), tf.ones_like(slope))
    scale = tf.where(
        found.negative_curvature & (length > 0),
        sign / length,
        tf.zeros_like(length),
    )
    parts = radius * tf.constant(KEPT_RADII, radius.dtype)
    return found._replace(
        steps=parts[:, tf.newaxis] * scale * direction,
        slopes=parts * scale * slope,
        curvatures=(parts * scale) ** 2 * found.direction_curvature,
        lengths=parts,
    )
