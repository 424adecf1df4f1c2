"""Fits with outliers, with bounds that hold, and of 20 to 60 parameters.

`PROBLEMS` as those of `_instrument_problems`; what is more of them stands in
`LOSSES` and `BOUNDS`.
"""

import numpy as np
from _instrument_curves import (
    PEAKS,
    ROOM,
    SPECTRUM,
    TIMES,
    dose_response,
    exponentials,
    fano,
    muon_detectors,
    muon_spectrum,
    peaks,
    pseudo_voigt,
    pseudo_voigts,
    ringdown,
    shared_decays,
    tube_peaks,
    two_decays,
)

# The error from which on a point is an outlier, in units of σ.
SCALE = 1.5
# {name: loss, as SciPy calls it}. A tenth of the points is wrong.
LOSSES = {
    "tube peaks, outliers": "soft_l1",
    "two decays, outliers": "cauchy",
    "dose response, outliers": "huber",
    "Fano resonance, outliers": "arctan",
    "exponentials, both": "soft_l1",
}
_FREE = (-np.inf, np.inf)
# {name: pairs of bounds}. Some cut the free minimum off, some starts lie on
# them.
BOUNDS = {
    "muon spectrum, bounds": [
        *[(0, None), (2.25, None), *[_FREE] * 4, (0, None), (0, 0.35)],
        *[_FREE] * 2,
        *[(0, None), (0, 1), (0, None)],
    ],
    "pseudo-Voigt, bounds": [
        *[(0, None), _FREE, (0, 0.65), (0, 1)],
        *[(0, None), _FREE, (0, None), (0, 1)],
        *[(0, None), (0, None)],
    ],
    "exponentials, both": [(0, None), (0, 0.4), *[(0, None)] * 3, (0, 4.5)],
}


def _far(true, factor, fixed=()):
    """A first guess by up to this factor off, but for some entries."""
    random = np.random.default_rng(len(true))
    start = true * factor ** random.uniform(-1, 1, len(true))
    start[list(fixed)] = np.array(true)[list(fixed)]
    return start


def _peaks(count, height, width, span, seed=0):
    """Heights, places and widths of peaks in 0 to `span`."""
    random = np.random.default_rng(seed)
    places = np.linspace(0, span, count + 2)[1:-1]
    places += span / (count + 1) * random.uniform(-0.25, 0.25, count)
    heights = height * np.exp(random.uniform(-1.2, 0.6, count))
    widths = width * np.exp(random.uniform(-0.3, 0.3, count))
    return np.stack([heights, places, widths], 1)


def _joined(rows, *more):
    return np.concatenate([np.ravel(rows), more])


def _sets(abscissa, count):
    """Each abscissa, and the number of its set."""
    return np.stack(
        [np.tile(abscissa, count), np.repeat(np.arange(count), len(abscissa))]
    )


TEN = _joined(_peaks(10, 300, 1.2, 60), 150, 12, 10)
NINETEEN = _joined(_peaks(19, 300, 1.3, 120), 150, 30, 10)
VOIGTS = _joined(
    np.c_[_peaks(8, 400, 1, 50), np.linspace(0.2, 0.8, 8)], 20, 0.2
)
DETECTORS = _joined(
    [[800 + 30 * i, 4 + i / 2, i * np.pi / 3] for i in range(6)],
    *[2.197, 0.22, 0.3, 4],
)
DECAYS = _joined([[800 - 90 * i, 150 + 60 * i, 8] for i in range(6)], 2, 9)
MODES = _joined(
    [
        [2 - i / 4, 3 + i, w, np.cos(3 * i)]
        for i, w in enumerate((2, 3.3, 4.9, 6.2, 8.1, 10))
    ]
)
PLACES_OF_TEN = range(1, 30, 3)
PLACES_OF_NINETEEN = range(1, 57, 3)
PLACES_OF_VOIGTS = range(1, 32, 4)
PHASES = (*range(2, 18, 3), 21)
FREQUENCIES = range(2, 24, 4)

PROBLEMS = {
    "tube peaks, outliers": (
        tube_peaks,
        ROOM,
        PEAKS,
        [40, 6, 1, 40, 13, 1, 0, 0],
        1.0,
    ),
    "two decays, outliers": (
        two_decays,
        np.linspace(0, 50, 250),
        [1000, 3, 600, 8, 5],
        [800, 2, 500, 12, 1],
        10.0,
    ),
    "dose response, outliers": (
        dose_response,
        np.geomspace(1e-3, 1e3, 60),
        [0.1, 1.3, 2.5, 3],
        [0, 1, 10, 2],
        0.02,
    ),
    "Fano resonance, outliers": (
        fano,
        np.linspace(40, 80, 300),
        [2, 1.8, 60, 3, 1],
        [1.6, 1.4, 59.5, 4, 0.8],
        0.05,
    ),
    "muon spectrum, bounds": (
        muon_spectrum,
        TIMES,
        SPECTRUM,
        [950, 2.25, 0.15, 0.2, 5.4, 0, 0.15, 0.3, 2.3, 0, 0.1, 1, 1],
        None,
    ),
    "pseudo-Voigt, bounds": (
        pseudo_voigt,
        ROOM,
        [100, 8, 0.7, 0.5, 60, 10.5, 0.9, 0.3, 5, 0.1],
        [80, 7.6, 0.65, 0, 80, 11, 1, 1, 0, 0],
        None,
    ),
    "exponentials, both": (
        exponentials,
        np.linspace(0, 4, 200),
        [1, 0.5, 2, 1.7, 1.5, 5],
        [1.2, 0.3, 1, 2, 2, 4],
        1e-3,
    ),
    "ten peaks": (
        peaks(10),
        np.linspace(0, 60, 700),
        TEN,
        _far(TEN, 3, PLACES_OF_TEN),
        None,
    ),
    "nineteen peaks": (
        peaks(19),
        np.linspace(0, 120, 1000),
        NINETEEN,
        _far(NINETEEN, 3, PLACES_OF_NINETEEN),
        None,
    ),
    "eight pseudo-Voigts": (
        pseudo_voigts(8),
        np.linspace(0, 50, 800),
        VOIGTS,
        _far(VOIGTS, 2, PLACES_OF_VOIGTS),
        None,
    ),
    "six detectors": (
        muon_detectors(6),
        _sets(np.linspace(0.02, 10, 250), 6),
        DETECTORS,
        _far(DETECTORS, 3, PHASES),
        None,
    ),
    "six decays, shared lives": (
        shared_decays(6),
        _sets(np.linspace(0, 30, 80), 6),
        DECAYS,
        _far(DECAYS, 10),
        None,
    ),
    "ringdown of six modes": (
        ringdown(6),
        np.linspace(0, 20, 900),
        MODES,
        _far(MODES, 3, FREQUENCIES),
        0.1,
    ),
}


def with_outliers(values, sigma, random):
    """The values, a tenth of them off by some 20 σ, mostly upwards."""
    is_wrong = random.random(values.shape) < 0.1
    side = np.where(random.random(values.shape) < 0.7, 1, -1)
    return values + is_wrong * side * 20 * sigma * random.exponential(
        size=values.shape
    )


def bounds(name, count):
    """Lower and upper bounds of all weights, infinite where there are none."""
    pairs = BOUNDS.get(name, [_FREE] * count)
    lower, upper = zip(*pairs, strict=True)
    return (
        np.array([-np.inf if b is None else b for b in lower]),
        np.array([np.inf if b is None else b for b in upper]),
    )
