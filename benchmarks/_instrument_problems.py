"""Fits as instruments give them: data drawn from a known curve, with noise.

Each is `(curve, x, y, sigma, start)`; `curve(x, b)` is in TensorFlow.
"""

import numpy as np
import tensorflow as tf

exp, cos, sin = tf.exp, tf.cos, tf.sin
ROOM = np.linspace(0, 20, 300)
TIMES = np.linspace(0.01, 10, 500)
NEAR_ONE = 1 + np.linspace(-2e-4, 2e-4, 400)
LIGHT = np.linspace(-1e9, 1e9, 300)


def gaussian(x, height, center, width):
    return height * exp(-(((x - center) / width) ** 2) / 2)


def lorentzian(x, height, center, width):
    return height / (1 + ((x - center) / width) ** 2)


def muon_spectrum(x, b):
    """Decays with two rotating and one relaxing part of the asymmetry."""
    n, life, a1, r1, w1, p1, a2, s2, w2, p2, a3, r3, background = b
    asymmetry = (
        a1 * exp(-r1 * x) * cos(w1 * x + p1)
        + a2 * exp(-((s2 * x) ** 2) / 2) * cos(w2 * x + p2)
        + a3 * exp(-r3 * x)
    )
    return n * exp(-x / life) * (1 + asymmetry) + background


def tube_peaks(x, b):
    return gaussian(x, *b[:3]) + gaussian(x, *b[3:6]) + b[6] + b[7] * x


def double_peak(x, b):
    return lorentzian(x, *b[:3]) + lorentzian(x, *b[3:6]) + b[6]


def pseudo_voigt(x, b):
    total = b[8] + b[9] * x
    for height, center, width, share in (b[:4], b[4:8]):
        total += share * lorentzian(x, height, center, width)
        total += (1 - share) * gaussian(x, height, center, width)
    return total


def exponentials(x, b):
    return sum(b[i] * exp(-b[i + 1] * x) for i in (0, 2, 4))


def dose_response(x, b):
    return b[3] + (b[0] - b[3]) / (1 + (x / b[2]) ** b[1])


def fano(x, b):
    detuning = 2 * (x - b[2]) / b[3]
    return b[0] * (b[1] + detuning) ** 2 / (1 + detuning**2) + b[4]


def chirp(x, b):
    return b[0] * exp(-b[1] * x) * sin(b[2] * x + b[3] * x**2 + b[4])


def arrhenius(x, b):
    return b[0] * exp(-b[1] / x) + b[2] * exp(-b[3] / x)


def melting(x, b):
    ratio = exp(b[4] * (1 / b[5] - 1 / x))
    return (b[0] + b[1] * x + (b[2] + b[3] * x) * ratio) / (1 + ratio)


def power_law(x, b):
    return b[0] * (x - b[2]) ** b[1] + b[3]


def skewed_peak(x, b):
    """A normal distribution with an exponential tail."""
    area, center, width, rate, background = b
    before = rate / 2 * (2 * center + rate * width**2 - 2 * x)
    argument = (center + rate * width**2 - x) / (np.sqrt(2) * width)
    tail = exp(before) * tf.math.erfc(argument)
    return area * rate / 2 * tail + background


# {name: (curve, x, true b, first b, noise)}; counts without a noise.
SPECTRUM = [1000, 2.197, 0.2, 0.1, 5.5, 0.3, 0.1, 0.4, 2.1, -0.4, 0.05, 1.2, 3]
PEAKS = [50, 7, 0.8, 30, 12, 1.2, 5, 0.1]
_PROBLEMS = {
    "muon spectrum": (
        muon_spectrum,
        TIMES,
        SPECTRUM,
        [950, 2.2, 0.15, 0.2, 5.4, 0, 0.15, 0.3, 2.3, 0, 0.1, 1, 1],
        None,
    ),
    "muon spectrum, far": (
        muon_spectrum,
        TIMES,
        SPECTRUM,
        [800, 2, 0.1, 0.5, 5.8, 0, 0.1, 0.5, 1.8, 0, 0.02, 0.5, 10],
        None,
    ),
    "tube peaks": (
        tube_peaks,
        ROOM,
        PEAKS,
        [40, 6, 1, 40, 13, 1, 0, 0],
        None,
    ),
    "tube peaks, wide": (
        tube_peaks,
        ROOM,
        PEAKS,
        [20, 6, 3, 20, 13, 3, 1, 0],
        None,
    ),
    "tube peaks, overlapping": (
        tube_peaks,
        ROOM,
        [50, 9, 1, 30, 11, 1.2, 5, 0.1],
        [40, 8, 1.5, 40, 12, 1.5, 0, 0],
        None,
    ),
    "double peak, 1e-5 wide": (
        double_peak,
        NEAR_ONE,
        [0.1, 1 - 4e-5, 1e-5, 0.06, 1 + 5e-5, 2e-5, 0.01],
        [0.08, 1 - 3e-5, 2e-5, 0.08, 1 + 4e-5, 1e-5, 0],
        1e-3,
    ),
    "double peak, 1e8 wide": (
        double_peak,
        LIGHT,
        [1e-3, -2e8, 1e8, 5e-4, 3e8, 1.5e8, 1e-4],
        [8e-4, -1e8, 2e8, 8e-4, 2e8, 1e8, 0],
        2e-5,
    ),
    "pseudo-Voigt": (
        pseudo_voigt,
        ROOM,
        [100, 8, 0.7, 0.5, 60, 10.5, 0.9, 0.3, 5, 0.1],
        [80, 7.6, 1, 0.2, 80, 11, 1, 0.6, 0, 0],
        None,
    ),
    "three exponentials": (
        exponentials,
        np.linspace(0, 4, 200),
        [1, 0.5, 2, 1.7, 1.5, 5],
        [1.2, 0.3, 1, 2, 2, 4],
        1e-3,
    ),
    "dose response": (
        dose_response,
        np.geomspace(1e-3, 1e3, 60),
        [0.1, 1.3, 2.5, 3],
        [0, 1, 10, 2],
        0.02,
    ),
    "Fano resonance": (
        fano,
        np.linspace(40, 80, 300),
        [2, 1.8, 60, 3, 1],
        [1, 1, 58, 5, 0],
        0.05,
    ),
    "chirp": (
        chirp,
        np.linspace(0, 6, 400),
        [2, 0.3, 4, 0.35, 0.2],
        [1.5, 0.2, 4.1, 0.3, 0],
        0.05,
    ),
    "two Arrhenius terms": (
        arrhenius,
        np.linspace(300, 1200, 80),
        [1e6, 9000, 50, 2000],
        [5e5, 8000, 100, 2500],
        1.0,
    ),
    "melting": (
        melting,
        np.linspace(290, 370, 160),
        [1, 0.002, 2, 0.004, 40000, 330],
        [0, 0, 2, 0, 20000, 320],
        0.01,
    ),
    "power law": (
        power_law,
        np.linspace(2, 50, 100),
        [3, -0.8, 1, 0.5],
        [1, -0.5, 0.5, 0],
        0.01,
    ),
    "skewed peak": (
        skewed_peak,
        ROOM,
        [100, 6, 0.5, 0.8, 2],
        [80, 7, 1, 1.5, 0],
        0.5,
    ),
}


def made(name, seed=0):
    """The problem's `(curve, x, y, sigma, start)`, drawn with a seed."""
    curve, x, true, start, noise = _PROBLEMS[name]
    random = np.random.default_rng([seed, list(_PROBLEMS).index(name)])
    y = curve(tf.constant(x), tf.unstack(tf.constant(true, "float64"))).numpy()
    if noise is None:
        y = random.poisson(np.maximum(y, 0)).astype("float64")
        sigma = np.sqrt(np.maximum(y, 1))
    else:
        y = y + noise * random.normal(size=y.shape)
        sigma = np.full_like(y, noise)
    return curve, x, y, sigma, np.array(start, "float64")


NAMES = tuple(_PROBLEMS)
