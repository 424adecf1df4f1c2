"""The updates of arXiv 2405.04230 in NumPy, with H⁻¹ where they have it."""

import numpy as np


def scale_and_parameter(name, inverse, s, y):
    """τ and φ, equations 11 and 13 to 23."""
    n, curvature = len(s), y @ s
    first = min(1, curvature / (s @ np.linalg.solve(inverse, s)))
    if name == "bfgs":
        return 1.0, 1.0
    if name == "ssbfgs":
        return first, 1.0
    b = s @ np.linalg.solve(inverse, s) / curvature
    h = y @ inverse @ y / curvature
    a = h * b - 1
    rho = min(1, h * (1 - np.sqrt(a / (1 + a))))
    theta = max((rho - 1) / a, min(1 / rho, (1 - b) / b))
    sigma = 1 + a * theta
    root = abs(sigma) ** (1 / (1 - n))
    scale = (
        first * min(root, 1 / theta) if theta > 0 else min(first * root, sigma)
    )
    return scale, (1 - theta) / (1 + (h * b - 1) * theta)


def updated_inverse(inverse, s, y, scale, parameter):
    """Equation 9, term by term."""
    product = inverse @ y
    v = np.sqrt(y @ product) * (s / (y @ s) - product / (y @ product))
    inner = inverse - np.outer(product, product) / (y @ product)
    inner += parameter * np.outer(v, v)
    return inner / scale + np.outer(s, s) / (y @ s)
