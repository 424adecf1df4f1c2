"""Self-scaled updates of a dense inverse Hessian, from Broyden's family.

Two numbers, without a unit, say how H fits a pair (s, y):

    b = sᵀH⁻¹s / yᵀs,  h = yᵀHy / yᵀs,  b·h ≥ 1

From them each member of the family takes its scale τ and its parameter φ.
"""

import numpy as np
import tensorflow as tf

from keras_curvature.linalg.dot import dot, matvec


def updated_inverse(inverse, step, change, scale, parameter):
    """H₊ of Broyden's family, scaled, with H₊y = s.

        H₊ = (H − H y yᵀH / yᵀHy + φ v vᵀ) / τ + s sᵀ / yᵀs
        v = √(yᵀHy)·(s / yᵀs − H y / yᵀHy)

    H₊ is positive definite if H is, yᵀs > 0, τ > 0 and φ > −1/(b·h − 1).

    Args:
        inverse: H, symmetric tensor of shape `(n, n)`.
        step: s, tensor of shape `(n,)`.
        change: y, tensor of shape `(n,)`.
        scale: τ, scalar tensor.
        parameter: φ, scalar tensor: 1 is BFGS, 0 is DFP.

    Returns:
        H₊, tensor of shape `(n, n)`.

    Example:

    ```python
    import tensorflow as tf
    from keras_curvature.linalg.broyden_family import updated_inverse

    s, y = tf.constant([1.0, 0.0]), tf.constant([2.0, 1.0])
    inverse = updated_inverse(tf.eye(2), s, y, scale=1.0, parameter=1.0)
    tf.linalg.matvec(inverse, y)  # s
    ```

    References:
        Broyden, 1967, "Quasi-Newton methods and their application to function
        minimisation", Mathematics of Computation 21.
    """
    product = matvec(inverse, change)
    curvature = dot(step, change)
    form = dot(product, change)
    # All that is added to H/τ lies in the span of s and H y.
    on_step = (1 + parameter * form / curvature / scale) / curvature
    mixed = -parameter / curvature / scale
    on_product = (parameter - 1) / form / scale
    half = on_step / 2 * step + mixed * product
    left = tf.stack([step, half, on_product * product], axis=1)
    right = tf.stack([half, step, product], axis=1)
    return inverse / scale + tf.matmul(left, right, transpose_b=True)


def bfgs(b, h, size):
    """τ = φ = 1: Broyden, Fletcher, Goldfarb, Shanno.

    Args:
        b: sᵀH⁻¹s / yᵀs, scalar tensor.
        h: yᵀHy / yᵀs, scalar tensor.
        size: Int n.

    Returns:
        Tuple (τ, φ) of scalar tensors.
    """
    return tf.ones_like(b), tf.ones_like(b)


def self_scaled_bfgs(b, h, size):
    """τ = min(1, 1/b), φ = 1: H is enlarged where it is too small along s.

    Args:
        b: sᵀH⁻¹s / yᵀs, scalar tensor.
        h: yᵀHy / yᵀs, scalar tensor.
        size: Int n.

    Returns:
        Tuple (τ, φ) of scalar tensors.

    References:
        Al-Baali, 1998, "Numerical experience with a class of self-scaling
        quasi-Newton algorithms", JOTA 96.
        Urbán, Stefanou, Pons, 2025, arXiv 2405.04230, equation 11.
    """
    return tf.minimum(1 / b, 1), tf.ones_like(b)


def self_scaled_broyden(b, h, size):
    """τ and φ that change with every pair.

        a = b·h − 1,  c = √(a / (1 + a)),  ρ = min(1, h·(1 − c))
        θ = max((ρ − 1)/a, min(1/ρ, (1 − b)/b)),  σ = 1 + θ·a
        τ = min(1, 1/b)·min(σ^(−1/(n−1)), 1/θ)   if θ > 0
        τ = min(min(1, 1/b)·σ^(−1/(n−1)), σ)     if θ ≤ 0
        φ = (1 − θ) / (1 + a·θ)

    Args:
        b: sᵀH⁻¹s / yᵀs, scalar tensor.
        h: yᵀHy / yᵀs, scalar tensor.
        size: Int n.

    Returns:
        Tuple (τ, φ) of scalar tensors.

    References:
        Al-Baali, 1998, "Numerical experience with a class of self-scaling
        quasi-Newton algorithms", JOTA 96.
        Urbán, Stefanou, Pons, 2025, arXiv 2405.04230, equations 13 to 23.
    """
    # Rounding may make a negative, and it is 0 where H y is parallel to s.
    a = tf.maximum(b * h - 1, np.finfo(b.dtype.as_numpy_dtype).eps)
    rho = tf.minimum(h * (1 - tf.sqrt(a / (1 + a))), 1)
    theta = tf.maximum((rho - 1) / a, tf.minimum(1 / rho, (1 - b) / b))
    sigma = 1 + theta * a
    # In one dimension a is 0 and σ is 1.
    root = sigma ** (-1 / max(size - 1, 1))
    scale, _ = self_scaled_bfgs(b, h, size)
    is_positive = theta > 0
    largest = 1 / tf.where(is_positive, theta, tf.ones_like(theta))
    scale = tf.where(
        is_positive,
        scale * tf.minimum(root, largest),
        tf.minimum(scale * root, sigma),
    )
    return scale, (1 - theta) / sigma
