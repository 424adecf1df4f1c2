"""Conjugate gradients truncated at a trust region."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from keras_curvature._casting import cast
from keras_curvature._control_flow import while_loop
from keras_curvature.linalg.dot import dot, first, norm, outer


class SteihaugSteps(NamedTuple):
    """Truncated steps for K radii, and how the iteration went.

    Attributes:
        steps: p, tensor of shape (K, n).
        slopes: gᵀp, shape (K,).
        curvatures: pᵀHp, shape (K,).
        lengths: ‖p‖ in the norm of the trust region, shape (K,).
        iterations: Int32 scalar, products with H.
        negative_curvature: Bool scalar, whether `direction` has dᵀHd ≤ 0.
        direction: d, the last conjugate direction, shape (n,).
        direction_curvature: dᵀHd, scalar.

    Example:

    ```python
    import tensorflow as tf
    from keras_curvature.linalg import steihaug

    hessian = tf.constant([[2.0, 0.0], [0.0, -1.0]])
    result = steihaug(
        lambda v: tf.linalg.matvec(hessian, v),
        tf.constant([1.0, 1.0]),
        radii=[2.0],
        tolerance=0.1,
        max_iterations=10,
    )
    result.steps.shape, result.negative_curvature  # (1, 2), True
    ```
    """

    steps: tf.Tensor
    slopes: tf.Tensor
    curvatures: tf.Tensor
    lengths: tf.Tensor
    iterations: tf.Tensor
    negative_curvature: tf.Tensor
    direction: tf.Tensor
    direction_curvature: tf.Tensor


class _Iterate(NamedTuple):
    """An iterate z of conjugate gradients, and what was found on the way."""

    # Products with H so far, and whether the last showed dᵀHd ≤ 0.
    iterations: tf.Tensor
    negative: tf.Tensor
    # The iterate, its residual r = g + Hz, and the next direction.
    z: tf.Tensor
    r: tf.Tensor
    d: tf.Tensor
    # Scalars: rᵀM⁻¹r, and zᵀMz, zᵀMd, dᵀMd, which follow by recurrences
    # without a product with M.
    rv: tf.Tensor
    zz: tf.Tensor
    zd: tf.Tensor
    dd: tf.Tensor
    # dᵀHd of the last direction.
    curvature: tf.Tensor
    # For each radius: whether the path has left the region, and the step to
    # where it did.
    left: tf.Tensor
    found: SteihaugSteps


def steihaug(
    matvec: Callable[[tf.Tensor], tf.Tensor],
    gradient: tf.Tensor,
    radii: tf.Tensor,
    tolerance: float | tf.Tensor,
    max_iterations: int,
    preconditioner: Callable[[tf.Tensor], tf.Tensor] | None = None,
) -> SteihaugSteps:
    """Minimizes gᵀp + ½ pᵀHp within ‖p‖ ≤ Δ, by truncated CG.

    The conjugate gradient iterates grow in norm; p is the last one with
    ‖g + Hp‖ ≤ tolerance·‖g‖, or the point where their path leaves the region,
    or, along a direction of non-positive curvature, its boundary. Several
    radii lie on one path: smaller ones cost no more products.

    With a preconditioner M⁻¹ the region is ‖p‖_M ≤ Δ.

    Args:
        matvec: Callable that maps a tensor v of shape (n,) to H·v.
        gradient: g, tensor of shape (n,).
        radii: Tensor of shape (K,), Δ > 0, the largest first.
        tolerance: Scalar tensor or float, the forcing term, dimensionless.
        max_iterations: Int, most products.
        preconditioner: None or a callable that maps r of shape (n,) to M⁻¹r,
            with M symmetric and positive definite. Defaults to `None`.

    Returns:
        `SteihaugSteps`.

    Example:

    ```python
    import tensorflow as tf
    from keras_curvature.linalg import steihaug

    result = steihaug(
        lambda v: tf.constant([1.0, -1.0]) * v,
        tf.constant([1.0, 0.5]),
        radii=[2.0],
        tolerance=0.1,
        max_iterations=10,
    )
    # goes to the boundary: result.negative_curvature is True
    ```

    References:
        Steihaug, 1983, "The conjugate gradient method and trust regions in
        large scale optimization", SIAM J. Numer. Anal. 20(3).
        Conn, Gould, Toint, 2000, "Trust-region methods", algorithm 7.5.1.
    """
    dtype = gradient.dtype
    radii = tf.convert_to_tensor(radii, dtype)
    precondition = preconditioner or tf.identity
    target = cast(tolerance, dtype) * norm(gradient)

    def unfinished(at):
        return (
            (at.iterations < max_iterations)
            & ~first(at.left)
            & (norm(at.r) > target)
        )

    (at,) = while_loop(
        unfinished,
        lambda at: (_next(at, matvec, precondition, gradient, radii),),
        (_origin(gradient, precondition(gradient), radii),),
    )
    found = _stay(at, gradient)
    return found._replace(
        iterations=at.iterations,
        negative_curvature=at.negative,
        direction=at.d,
        direction_curvature=at.curvature,
    )


def _origin(gradient, v, radii):
    zero = tf.zeros([], gradient.dtype)
    nothing = tf.zeros_like(radii)
    rv = dot(gradient, v)
    found = SteihaugSteps(
        tf.zeros([radii.shape[0], gradient.shape[0]], gradient.dtype),
        *(nothing, nothing, nothing),
        *(tf.constant(0), tf.constant(False), tf.zeros_like(gradient), zero),
    )
    return _Iterate(
        iterations=tf.constant(0),
        negative=tf.constant(False),
        z=tf.zeros_like(gradient),
        r=gradient,
        d=-v,
        rv=rv,
        zz=zero,
        zd=zero,
        dd=rv,
        curvature=zero,
        left=tf.zeros_like(radii, tf.bool),
        found=found,
    )


def _next(at, matvec, precondition, gradient, radii):
    """The iterate after `at`, at the price of one product."""
    product = matvec(at.d)
    curvature = dot(at.d, product)
    # A product that is not finite says as little as a flat direction.
    curvature = tf.where(
        tf.math.is_finite(curvature), curvature, tf.zeros_like(curvature)
    )
    negative = curvature <= 0
    alpha = at.rv / tf.where(negative, tf.ones_like(curvature), curvature)
    zz = at.zz + 2 * alpha * at.zd + tf.square(alpha) * at.dd
    leaves = (negative | (zz >= tf.square(radii))) & ~at.left
    found = _leave(at, gradient, curvature, radii, leaves)
    r = at.r + alpha * product
    v = precondition(r)
    rv = dot(r, v)
    beta = rv / at.rv
    left = at.left | leaves
    go_on = ~first(left)
    return _Iterate(
        iterations=at.iterations + 1,
        negative=negative,
        z=tf.where(go_on, at.z + alpha * at.d, at.z),
        r=tf.where(go_on, r, at.r),
        d=tf.where(go_on, beta * at.d - v, at.d),
        rv=rv,
        zz=zz,
        zd=beta * (at.zd + alpha * at.dd),
        dd=rv + tf.square(beta) * at.dd,
        curvature=curvature,
        left=left,
        found=found,
    )


def _leave(at, gradient, curvature, radii, leaves):
    """Records p = z + τd, ‖p‖ = Δ, for the regions that are left here."""
    gap = tf.maximum(tf.square(radii) - at.zz, 0.0)
    gap = tf.where(leaves, gap, tf.zeros_like(gap))
    root = tf.sqrt(tf.square(at.zd) + at.dd * gap)
    tau = tf.math.divide_no_nan(gap, at.zd + root)
    steps = at.z + outer(tau, at.d)
    product = at.r - gradient  # Hz
    slopes = dot(gradient, at.z) + tau * dot(gradient, at.d)
    curvatures = (
        dot(product, at.z)
        + 2 * tau * dot(product, at.d)
        + tf.square(tau) * curvature
    )
    return _record(at.found, leaves, steps, slopes, curvatures, radii)


def _stay(at, gradient):
    """Records p = z for the regions that the path never left."""
    product = at.r - gradient
    return _record(
        at.found,
        ~at.left,
        at.z,
        dot(gradient, at.z),
        dot(product, at.z),
        tf.sqrt(at.zz),
    )


def _record(found, where, steps, slopes, curvatures, lengths):
    return found._replace(
        steps=tf.where(tf.expand_dims(where, 1), steps, found.steps),
        slopes=tf.where(where, slopes, found.slopes),
        curvatures=tf.where(where, curvatures, found.curvatures),
        lengths=tf.where(where, lengths, found.lengths),
    )
