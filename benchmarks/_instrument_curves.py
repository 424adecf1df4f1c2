"""Curves that instruments measure; `curve(x, b)` is in TensorFlow."""

import numpy as np
import tensorflow as tf

exp, cos, sin = tf.exp, tf.cos, tf.sin
# Of a diode at room temperature, in volts.
THERMAL_VOLTAGE = 0.025852
# Places, and weights of `muon_spectrum` and `tube_peaks`, of several problems.
ROOM, TIMES = np.linspace(0, 20, 300), np.linspace(0.01, 10, 500)
SPECTRUM = [1000, 2.197, 0.2, 0.1, 5.5, 0.3, 0.1, 0.4, 2.1, -0.4, 0.05, 1.2, 3]
PEAKS = [50, 7, 0.8, 30, 12, 1.2, 5, 0.1]


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


def two_decays(x, b):
    return b[0] * exp(-x / b[1]) + b[2] * exp(-x / b[3]) + b[4]


def langmuir(x, b):
    return b[0] * b[1] * x / (1 + b[1] * x)


def two_sites(x, b):
    return langmuir(x, b[:2]) + langmuir(x, b[2:])


def hill(x, b):
    return b[3] + b[0] / (1 + (b[1] / x) ** b[2])


def diode(x, b):
    return b[0] * (exp(x / (b[1] * THERMAL_VOLTAGE)) - 1) + x / b[2]


def solar_cell(x, b):
    return b[0] - diode(x, b[1:])


def michaelis_menten(x, b):
    return b[0] * x / (b[1] + x)


def damped_oscillation(x, b):
    return b[0] * exp(-x / b[1]) * cos(2 * np.pi * b[2] * x + b[3]) + b[4]


def three_peaks(x, b):
    peaks = sum(gaussian(x, *b[i : i + 3]) for i in (0, 3, 6))
    return peaks + b[9] + b[10] * x


def cavity(x, b):
    detuning = 2 * b[3] * (x - b[2]) / b[2]
    return b[0] * (1 - b[1] / (1 + detuning**2))


def peaks(count):
    """Gaussian peaks on a falling background, 3·count + 3 parameters."""

    def curve(x, b):
        total = b[-3] * exp(-x / b[-2]) + b[-1]
        for i in range(0, 3 * count, 3):
            total += gaussian(x, *b[i : i + 3])
        return total

    return curve


def pseudo_voigts(count):
    def curve(x, b):
        total = b[-2] + b[-1] * x
        for i in range(0, 4 * count, 4):
            *peak, share = b[i : i + 4]
            total += share * lorentzian(x, *peak)
            total += (1 - share) * gaussian(x, *peak)
        return total

    return curve


def of_set(index, values):
    """The value of each point's set."""
    return tf.gather(tf.stack(values), tf.cast(index, "int32"))


def muon_detectors(count):
    """Counts, background and phase of each detector; the rest is shared."""

    def curve(x, b):
        time, index = x[0], x[1]
        life, asymmetry, rate, frequency = b[3 * count :]
        n, background, phase = (
            of_set(index, b[i : 3 * count : 3]) for i in range(3)
        )
        swing = exp(-rate * time) * cos(frequency * time + phase)
        return n * exp(-time / life) * (1 + asymmetry * swing) + background

    return curve


def shared_decays(count):
    """Two heights and a background of each set, two lives of all."""

    def curve(x, b):
        time, index = x[0], x[1]
        first, second, background = (
            of_set(index, b[i : 3 * count : 3]) for i in range(3)
        )
        decays = first * exp(-time / b[-2]) + second * exp(-time / b[-1])
        return decays + background

    return curve


def ringdown(count):
    def curve(x, b):
        return sum(
            b[i] * exp(-x / b[i + 1]) * cos(b[i + 2] * x + b[i + 3])
            for i in range(0, 4 * count, 4)
        )

    return curve
