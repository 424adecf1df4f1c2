"""The updates of arXiv 2405.04230 in NumPy, with H⁻¹ where they have it."""

import numpy as np

from benchmarks import _papers_quasi_newton
from benchmarks._papers_quasi_newton import updated_inverse

__all__ = ["scale_and_parameter", "updated_inverse"]


def scale_and_parameter(name, inverse, s, y):
    """τ and φ, equations 11 and 13 to 23."""
    curvature = y @ s
    b = s @ np.linalg.solve(inverse, s) / curvature
    h = y @ inverse @ y / curvature
    return _papers_quasi_newton.scale_and_parameter(name, b, h, len(s))
