"""Derivatives along a direction, by central differences."""

import numpy as np

# Small ones for functions with kinks, large ones for what computes in single
# precision, as some kernels do in a float64 model.
_STEPS = {
    "float64": (1e-3, 1e-5, 1e-6, 1e-2, 1e-1),
    "float32": (3e-2, 1e-1, 1e-2, 3e-3),
}
# Further steps are not tried once two agree to this.
_ENOUGH = {"float64": 1e-9, "float32": 1e-5}


def directional_derivative(function, dtype, scale):
    """df(h)/dh at 0, with an estimate of its error.

    Two steps h and h/2 give D(h) and D(h/2), of which Richardson's
    (4·D(h/2) − D(h)) / 3 is free of the error in h². Of several h, that one is
    taken whose D(h) and D(h/2) differ least.

    Args:
        function: Callable that maps a float to an array.
        dtype: "float32" or "float64", the precision of the function.
        scale: Float, the size of a step of 1.

    Returns:
        Tuple `(derivative, error)`: an array, and a float, absolute.
    """
    best, best_error = None, np.inf
    for step in _STEPS[dtype]:
        coarse, fine = (
            _central_difference(function, h)
            for h in (step * scale, step * scale / 2)
        )
        error = float(np.abs(fine - coarse).max())
        if error < best_error or best is None:
            best, best_error = (4 * fine - coarse) / 3, error
        if error <= _ENOUGH[dtype] * np.abs(fine).max():
            break
    return best, best_error


def _central_difference(function, step):
    return (function(step) - function(-step)) / (2 * step)
