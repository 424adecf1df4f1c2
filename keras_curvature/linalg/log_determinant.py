"""The logarithm of the determinant."""

import numpy as np

from keras_curvature._checks import checked_integer, checked_number
from keras_curvature._typing import Matrix
from keras_curvature.linalg.spectral_density import spectral_density
from keras_curvature.linalg.trace import TraceEstimate


def log_determinant(
    operator: Matrix,
    *,
    damping: float = 0.0,
    steps: int = 100,
    runs: int = 10,
    seed: int = 0,
) -> TraceEstimate:
    """log det(A + λI) of a positive definite A + λI.

        log det(A + λI) = Σᵢ log(λᵢ + λ)

    by stochastic Lanczos quadrature. It converges fast in `steps` where
    A + λI is well conditioned, so some damping helps.

    Args:
        operator: A: a symmetric matrix, `tf.linalg.LinearOperator`, or an
            object with `shape` (n, n), `dtype` and `operator @ v` for v of
            shape (n, columns).
        damping: λ ≥ 0, in units of the eigenvalues. Defaults to `0.0`.
        steps: Int ≥ 1, Lanczos steps of each run. Defaults to `100`.
        runs: Int ≥ 2, random vectors. Defaults to `10`.
        seed: Int ≥ 0 of the random vectors. Defaults to `0`.

    Returns:
        `TraceEstimate`, whose standard error does not count what more steps
        would change.

    Raises:
        ValueError: if A + λI is seen not to be positive definite.

    Example:

    ```python
    import numpy as np
    from keras_curvature.linalg import log_determinant

    log_determinant(np.diag([1.0, 2.0, 3.0]), damping=1.0, runs=100)
    # log 24 = 3.18, within its standard error
    ```

    References:
        Ubaru, Chen, Saad, 2017, "Fast estimation of tr(f(A)) via stochastic
        Lanczos quadrature", SIAM J. Matrix Anal. Appl. 38(4).
    """
    checked_number("damping", damping, minimum=0)
    # The standard error of a single one is unknown.
    checked_integer("runs", runs, minimum=2)
    spectrum = spectral_density(operator, steps=steps, runs=runs, seed=seed)
    smallest = spectrum.nodes.min()
    if smallest + damping <= 0:
        raise ValueError(
            "`operator` + `damping` must be positive definite. Received: "
            f"damping={damping}, and an eigenvalue of about {smallest:.3g} of "
            "the operator. Raise `damping`, or take an operator that is "
            "positive semi-definite, such as a Gauss–Newton matrix."
        )
    return spectrum.trace_of(lambda eigenvalues: np.log(eigenvalues + damping))
