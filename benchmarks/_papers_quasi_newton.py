"""Self-scaled quasi-Newton methods as the papers write them, in NumPy.

What `SelfScaledBroyden` is held against: the equations of arXiv:2405.04230 on
dense matrices, and a strong Wolfe line search of SciPy, whose own BFGS the
authors' public code changes.
"""

import numpy as np
from scipy.optimize import line_search


def minimize(function, start, update, after_step, inverse=None):
    """Minimizes until a line search fails or `after_step` raises StopIteration.

    Args:
        function: Callable that maps x to (f, ∇f).
        start: Array of shape (n,).
        update: `"ssbroyden"`, equations 13 to 23, or `"ssbfgs"`, equation 11.
        after_step: Callable that is given x and f after each step.
        inverse: The first H, array of shape (n, n). Defaults to None, I.

    Returns:
        x, f and the last H.
    """
    inverse = np.eye(len(start)) if inverse is None else inverse
    seen = _Last(function)
    x, (loss, gradient) = start, seen(start)
    # As in SciPy: the first step moves x by about 1.
    before = loss + np.linalg.norm(gradient) / 2
    while True:
        direction = -inverse @ gradient
        length, _, _, new_loss, before, _ = line_search(
            lambda x: seen(x)[0],
            lambda x: seen(x)[1],
            x,
            direction,
            gradient,
            loss,
            before,
            maxiter=20,
        )
        if length is None or new_loss is None:
            return x, loss, inverse
        step = length * direction
        x = x + step
        change = seen(x)[1] - gradient
        if step @ change > 0:
            # H⁻¹s = −α g, equation B.1.
            b = -length * (step @ gradient) / (step @ change)
            h = change @ inverse @ change / (step @ change)
            numbers = scale_and_parameter(update, b, h, len(step))
            inverse = updated_inverse(inverse, step, change, *numbers)
        loss, gradient = seen(x)
        try:
            after_step(x, loss)
        except StopIteration:
            return x, loss, inverse


class _Last:
    """A function that is not evaluated twice in a row at the same place."""

    def __init__(self, function):
        self.function, self.x, self.value = function, None, None

    def __call__(self, x):
        if self.x is None or not np.array_equal(x, self.x):
            self.x, self.value = np.copy(x), self.function(x)
        return self.value


def scale_and_parameter(update, b, h, size):
    """τ and φ of `"bfgs"`, `"ssbfgs"` (equation 11), `"ssbroyden"` (13 to 23).

    Args:
        update: The name.
        b: sᵀH⁻¹s / yᵀs.
        h: yᵀHy / yᵀs.
        size: The number of unknowns.
    """
    if update == "bfgs":
        return 1.0, 1.0
    scale = min(1, 1 / b)
    if update == "ssbfgs":
        return scale, 1.0
    a = h * b - 1
    rho = min(1, h * (1 - np.sqrt(abs(a) / (1 + a))))
    theta = max((rho - 1) / a, min(1 / rho, (1 - b) / b))
    sigma = 1 + a * theta
    root = abs(sigma) ** (1 / (1 - size))
    scale = (
        scale * min(root, 1 / theta) if theta > 0 else min(scale * root, sigma)
    )
    return scale, (1 - theta) / sigma


def updated_inverse(inverse, s, y, scale, parameter):
    """Equation 9, term by term."""
    product = inverse @ y
    v = np.sqrt(y @ product) * (s / (y @ s) - product / (y @ product))
    inner = inverse - np.outer(product, product) / (y @ product)
    inner += parameter * np.outer(v, v)
    return inner / scale + np.outer(s, s) / (y @ s)
