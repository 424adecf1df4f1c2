"""Solutions of nonlinear equations to ten digits, by methods without networks.

Burgers' equation by the Cole-Hopf formula, which the examples have; the
Allen-Cahn equation by cosines in space and an exponential integrator in time.
"""

import pathlib
import sys

import numpy as np
import scipy.fft
import tensorflow as tf

sys.path.append(str(pathlib.Path(__file__).parents[1] / "examples"))
import _burgers

VISCOSITY = _burgers.VISCOSITY
DIFFUSION = 1e-4


def burgers(points):
    """u at the rows (x, t) of `points`, of u_t + u·u_x = 0.01/π·u_xx."""
    u = -np.sin(np.pi * points[:, 0])
    later = points[:, 1] > 0
    u[later] = _burgers.reference(points[later, 1], points[later, 0])
    return u[:, None]


def allen_cahn(times=51, places=257, cosines=2048, steps=2000):
    """u on a grid, of u_t = 1e-4·u_xx + 5·(u − u³) with period 2 in x.

    The solution from x²·cos πx is even, so that it is a sum of cosines on
    0 ≤ x ≤ 1. At x = 1 it begins with a kink, where u = −1. In v = u + 1,

        v_t = 1e-4·v_xx − 10·v + 15·v² − 5·v³,

    the linear part, which alone has a kink there, is integrated exactly, from
    the exact coefficients of v at t = 0.

    Args:
        times: Int, equally distant ones from 0 to 1; `times − 1` divides
            `steps`.
        places: Int, equally distant ones from 0 to 1; `places − 1` divides
            `cosines`.
        cosines: Int, of how many u is a sum.
        steps: Int, of the integrator.

    Returns:
        Array of shape `(times, places)`.
    """
    n = np.arange(cosines + 1)
    rates = -DIFFUSION * (np.pi * n) ** 2 - 10
    step = exponential_runge_kutta(rates, 1 / steps, _above_linear)
    # ∫ v·cos nπx dx, as SciPy scales it.
    modes = cosines * (_squares(n + 1) + _squares(n - 1))
    modes[0] += 2 * cosines
    rows = []
    for i in range(steps + 1):
        if i % (steps // (times - 1)) == 0:
            rows.append(scipy.fft.idct(modes, type=1) - 1)
        modes = step(modes)
    # A sum of cosines rounds the kink off.
    x = np.linspace(0, 1, cosines + 1)
    rows[0] = x**2 * np.cos(np.pi * x)
    return np.array(rows)[:, :: cosines // (places - 1)]


def _squares(n):
    """∫ x²·cos nπx dx over 0 ≤ x ≤ 1."""
    safe = np.where(n == 0, 1, n)
    return np.where(n == 0, 1 / 3, 2 * (-1.0) ** safe / (np.pi * safe) ** 2)


def _above_linear(modes):
    v = scipy.fft.idct(modes, type=1)
    return scipy.fft.dct(15 * v**2 - 5 * v**3, type=1)


def exponential_runge_kutta(rates, h, nonlinear):
    """A step of v' = rates·v + nonlinear(v), exact in the linear part.

    The functions φ of z = h·rates are means over a circle around z, which
    loses no digits where z is near 0.

    References:
        Cox, Matthews, 2002, "Exponential time differencing for stiff systems",
        J. Comput. Phys. 176 (ETDRK4). Kassam, Trefethen, 2005, "Fourth-order
        time-stepping for stiff PDEs", SIAM J. Sci. Comput. 26.
    """
    circle = np.exp(1j * np.pi * (np.arange(32) + 0.5) / 32)
    z = h * rates[:, None] + circle
    e = np.exp(z)

    def mean(values):
        return h * np.mean(values, axis=1).real

    half = mean((np.exp(z / 2) - 1) / z)
    first = mean((-4 - z + e * (4 - 3 * z + z**2)) / z**3)
    middle = mean((2 + z + e * (z - 2)) / z**3)
    last = mean((-4 - 3 * z - z**2 + e * (4 - z)) / z**3)
    whole_decay, half_decay = np.exp(h * rates), np.exp(h * rates / 2)

    def step(v):
        n = nonlinear(v)
        a = half_decay * v + half * n
        n_a = nonlinear(a)
        b = half_decay * v + half * n_a
        n_b = nonlinear(b)
        c = half_decay * a + half * (2 * n_b - n)
        return (
            whole_decay * v
            + first * n
            + 2 * middle * (n_a + n_b)
            + last * nonlinear(c)
        )

    return step


def rounded_kink(distance, t):
    """What solves the heat equation from 0 with the slope −2 at 0.

    4·√(Dt)·ierfc(s/2√(Dt)), the flow through the end of a half-line; Carslaw
    and Jaeger, 1959, "Conduction of Heat in Solids", § 2.9.
    """
    # Never 0, where s is.
    width = 2 * tf.sqrt(DIFFUSION * t + 1e-40)
    z = distance / width
    integral = tf.exp(-(z**2)) / np.sqrt(np.pi) - z * tf.math.erfc(z)
    return 2 * width * integral
