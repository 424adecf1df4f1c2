"""Fits as instruments give them: data drawn from a known curve, with noise.

Each is `(curve, x, y, sigma, start)`.
"""

import numpy as np
import tensorflow as tf
from _instrument_curves import (
    PEAKS,
    ROOM,
    SPECTRUM,
    TIMES,
    arrhenius,
    cavity,
    chirp,
    damped_oscillation,
    diode,
    dose_response,
    double_peak,
    exponentials,
    fano,
    hill,
    melting,
    michaelis_menten,
    muon_spectrum,
    power_law,
    pseudo_voigt,
    skewed_peak,
    solar_cell,
    three_peaks,
    tube_peaks,
    two_decays,
    two_sites,
)
from _instrument_variants import LOSSES, PROBLEMS, with_outliers

NEAR_ONE = 1 + np.linspace(-2e-4, 2e-4, 400)
LIGHT = np.linspace(-1e9, 1e9, 300)
WARM = np.linspace(300, 1200, 80)


def part(share):
    """Noise that is this part of each value."""
    return lambda y: share * np.abs(y)


# {name: (curve, x, true b, first b, noise)}; counts without a noise, which is a
# number or a function of the values.
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
        WARM,
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
    "Arrhenius over decades": (
        arrhenius,
        WARM,
        [1e8, 12000, 50, 2000],
        [1e7, 10000, 100, 3000],
        part(0.03),
    ),
    "two decays of counts": (
        two_decays,
        np.linspace(0, 50, 250),
        [1000, 3, 600, 8, 5],
        [500, 2, 500, 15, 1],
        None,
    ),
    "Langmuir, two sites": (
        two_sites,
        np.geomspace(1e-3, 1e3, 50),
        [3, 10, 4, 0.05],
        [2, 1, 2, 0.1],
        0.02,
    ),
    "Hill, nanomolar": (
        hill,
        np.geomspace(1e-10, 1e-5, 25),
        [100, 3e-8, 1.4, 5],
        [80, 1e-7, 1, 0],
        2.0,
    ),
    "diode over decades": (
        diode,
        np.linspace(0.05, 0.6, 45),
        [1e-12, 1.1, 1e9],
        [1e-10, 1.5, 1e8],
        part(0.03),
    ),
    "Michaelis-Menten": (
        michaelis_menten,
        np.geomspace(1e-6, 1e-3, 20),
        [3e-7, 5e-5],
        [1e-6, 1e-3],
        5e-9,
    ),
    "damped oscillation, kHz": (
        damped_oscillation,
        np.linspace(0, 5e-3, 400),
        [0.5, 1.5e-3, 2000, 1, 0.01],
        [0.4, 1e-3, 2050, 0, 0],
        0.01,
    ),
    "three peaks on a slope": (
        three_peaks,
        np.linspace(0, 100, 300),
        [80, 35, 6, 50, 50, 5, 30, 63, 7, 20, 0.3],
        [60, 30, 5, 60, 50, 5, 60, 70, 5, 10, 0],
        None,
    ),
    "cavity, 6 GHz": (
        cavity,
        6e9 + np.linspace(-5e6, 5e6, 401),
        [1, 0.8, 6.0004e9, 8000],
        [0.9, 0.5, 6e9, 4000],
        0.01,
    ),
    # At first the shunt, the last one, makes no difference.
    "solar cell, far": (
        solar_cell,
        np.linspace(0, 0.58, 50),
        [0.76, 3e-7, 1.5, 54],
        [7, 7e-7, 1.5, 7],
        1e-3,
    ),
}


_ALL = _PROBLEMS | PROBLEMS


def made(name, seed=0):
    """The problem's `(curve, x, y, sigma, start)`, drawn with a seed."""
    curve, x, true, start, noise = _ALL[name]
    random = np.random.default_rng([seed, list(_ALL).index(name)])
    y = curve(tf.constant(x), tf.unstack(tf.constant(true, "float64"))).numpy()
    if noise is None:
        y = random.poisson(np.maximum(y, 0)).astype("float64")
        sigma = np.sqrt(np.maximum(y, 1))
    else:
        sigma = noise(y) if callable(noise) else np.full_like(y, noise)
        y = y + sigma * random.normal(size=y.shape)
    if name in LOSSES:
        y = with_outliers(y, sigma, random)
    return curve, x, y, sigma, np.array(start, "float64")


NAMES = tuple(_ALL)
