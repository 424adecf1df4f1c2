"""The true values: textbook formulas of each activation in mpmath.

They are written differently from the package (in eˣ, with mpmath's own erfc)
and evaluated with 250 bits. `test_exact_values.py` checks each derivative
against mpmath's numerical differentiation of the formula before it.
"""

import functools

import mpmath as mp
import numpy as np

from keras_curvature import layers

mp.mp.prec = 250


def _sigma(x):
    return 1 / (1 + mp.exp(-x))


def _sigma1(x):
    return 1 / (2 + mp.exp(x) + mp.exp(-x))


def _sigma2(x):
    return -_sigma1(x) * mp.tanh(x / 2)


def _softplus(x):
    return mp.log1p(mp.exp(x)) if x < 0 else x + mp.log1p(mp.exp(-x))


def _phi(x):
    return mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi)


def _upper(x):
    if x < -2000:  # mpmath's erfc overflows; the true value is below 1e-800000
        return mp.mpf(0)
    return mp.erfc(-x / mp.sqrt(2)) / 2


def _mish_gates(x):
    e = mp.exp(min(x, mp.mpf(2000)))
    d = e * e + 2 * e + 2
    return (
        e * (e + 2) / d,
        4 * e * (1 + e) / d**2,
        4 * e * (2 + 2 * e - 3 * e**2 - 2 * e**3) / d**3,
    )


def _mish2(x):
    gate = _mish_gates(x)
    return 2 * gate[1] + x * gate[2]


_C = mp.mpf("0.044715")


def _w(x):
    k = 2 * mp.sqrt(2 / mp.pi)
    return k * (x + _C * x**3), k * (1 + 3 * _C * x * x), k * 6 * _C * x


def _tanh_gelu2(x):
    w, w1, w2 = _w(x)
    return (2 * w1 + x * w2) * _sigma1(w) + x * w1 * w1 * _sigma2(w)


def _elu(alpha, scale=1, first_at_0=None):
    """At the kink the values are those of TensorFlow's own gradients."""
    alpha, scale = mp.mpf(alpha), mp.mpf(scale)
    kink = alpha if first_at_0 is None else mp.mpf(first_at_0)

    def value(x):
        return scale * (x if x > 0 else alpha * mp.expm1(x))

    def first(x):
        if x == 0:
            return scale * kink
        return scale * (mp.mpf(1) if x > 0 else alpha * mp.exp(x))

    def second(x):
        return scale * (mp.mpf(0) if x >= 0 else alpha * mp.exp(x))

    return value, first, second


def _linear(slope):
    slope = mp.mpf(slope)
    return (
        lambda x: x if x > 0 else slope * x,
        lambda x: mp.mpf(1) if x > 0 else slope,
        lambda x: mp.mpf(0),
    )


def _sine(frequency):
    w = mp.mpf(frequency)
    return (
        lambda x: mp.sin(w * x),
        lambda x: w * mp.cos(w * x),
        lambda x: -w * w * mp.sin(w * x),
    )


_SELU = (
    "1.6732632423543772848170429916717",
    "1.0507009873554804934193349852946",
)

# name -> (layer, (f, f', f''), limits at −∞ and at +∞ of each; None = no limit)
INF = float("inf")
CASES = {
    "sigmoid": (
        layers.Sigmoid,
        (_sigma, _sigma1, _sigma2),
        ((0, 1), (0, 0), (0, 0)),
    ),
    "log_sigmoid": (
        layers.LogSigmoid,
        (
            lambda x: -_softplus(-x),
            lambda x: _sigma(-x),
            lambda x: -_sigma1(x),
        ),
        ((-INF, 0), (1, 0), (0, 0)),
    ),
    "tanh": (
        layers.Tanh,
        (
            mp.tanh,
            lambda x: mp.sech(x) ** 2,
            lambda x: -2 * mp.tanh(x) * mp.sech(x) ** 2,
        ),
        ((-1, 1), (0, 0), (0, 0)),
    ),
    "relu": (layers.ReLU, _linear(0), ((0, INF), (0, 1), (0, 0))),
    "leaky_relu": (
        layers.LeakyReLU,
        _linear(0.3),
        ((-INF, INF), (0.3, 1), (0, 0)),
    ),
    "elu": (layers.ELU, _elu(1), ((-1, INF), (0, 1), (0, 0))),
    "elu_alpha": (
        lambda **k: layers.ELU(alpha=1.7, **k),
        _elu(1.7),
        ((-1.7, INF), (0, 1), (0, 0)),
    ),
    "selu": (
        layers.SELU,
        _elu(*_SELU, first_at_0=1),
        (
            (-float(_SELU[0]) * float(_SELU[1]), INF),
            (0, float(_SELU[1])),
            (0, 0),
        ),
    ),
    "softplus": (
        layers.Softplus,
        (_softplus, _sigma, _sigma1),
        ((0, INF), (0, 1), (0, 0)),
    ),
    "softsign": (
        layers.Softsign,
        (
            lambda x: x / (1 + abs(x)),
            lambda x: (1 + abs(x)) ** -2,
            lambda x: -2 * mp.sign(x) * (1 + abs(x)) ** -3,
        ),
        ((-1, 1), (0, 0), (0, 0)),
    ),
    "silu": (
        layers.SiLU,
        (
            lambda x: x * _sigma(x),
            lambda x: _sigma(x) + x * _sigma1(x),
            lambda x: 2 * _sigma1(x) + x * _sigma2(x),
        ),
        ((0, INF), (0, 1), (0, 0)),
    ),
    "gelu": (
        layers.GELU,
        (
            lambda x: x * _upper(x),
            lambda x: _upper(x) + x * _phi(x),
            lambda x: (2 - x * x) * _phi(x),
        ),
        ((0, INF), (0, 1), (0, 0)),
    ),
    "gelu_tanh": (
        lambda **k: layers.GELU(approximate=True, **k),
        (
            lambda x: x * _sigma(_w(x)[0]),
            lambda x: _sigma(_w(x)[0]) + x * _w(x)[1] * _sigma1(_w(x)[0]),
            _tanh_gelu2,
        ),
        ((0, INF), (0, 1), (0, 0)),
    ),
    "mish": (
        layers.Mish,
        (
            lambda x: x * _mish_gates(x)[0],
            lambda x: _mish_gates(x)[0] + x * _mish_gates(x)[1],
            _mish2,
        ),
        ((0, INF), (0, 1), (0, 0)),
    ),
    "sine": (layers.Sine, _sine(1), None),
    "sine_30": (lambda **k: layers.Sine(frequency=30.0, **k), _sine(30), None),
    "sine_pi": (
        lambda **k: layers.Sine(frequency=3.14159, **k),
        _sine(3.14159),
        None,
    ),
    "gaussian": (
        layers.Gaussian,
        (
            lambda x: mp.exp(-x * x),
            lambda x: -2 * x * mp.exp(-x * x),
            lambda x: (4 * x * x - 2) * mp.exp(-x * x),
        ),
        ((0, 0), (0, 0), (0, 0)),
    ),
}


def grid(dtype, points=150):
    """±[1e-8, 1e4] on a log grid with 0 and the two largest numbers."""
    positive = np.logspace(-8, 4, points)
    x = np.concatenate([-positive[::-1], [0.0], positive]).astype(dtype)
    biggest = np.asarray(np.finfo(x.dtype).max, x.dtype)
    return np.concatenate([[-biggest], x, [biggest]]).astype(dtype)


@functools.cache
def _exact(name, order, x):
    return [CASES[name][1][order](mp.mpf(v)) for v in x]


def exact(name, order, x):
    """mpmath values of the order-th derivative of a case at an array x."""
    return _exact(name, order, tuple(float(v) for v in x))


def relative_errors(name, order, x, received):
    """Relative errors; absolute ones, against max |f|, beside a zero crossing.

    Points whose true value is not a normal number of the dtype, or is
    infinite, count by absolute error: they must come out (nearly) 0 or ∞.
    """
    truth = exact(name, order, x)
    info = np.finfo(received.dtype)
    finite = [abs(t) for t in truth if abs(t) <= float(info.max)]
    crosses = _crossing(name, order, x)
    largest = max(finite)
    errors = np.zeros(len(x))
    for i, (t, r) in enumerate(zip(truth, received, strict=True)):
        if abs(t) > float(info.max):
            errors[i] = 0.0 if np.isinf(r) and (t > 0) == (r > 0) else np.inf
        elif not np.isfinite(r):
            errors[i] = np.inf
        elif abs(t) < float(info.tiny):
            errors[i] = float(abs(mp.mpf(float(r)) - t) > 2 * float(info.tiny))
        else:
            scale = largest if crosses[i] else abs(t)
            errors[i] = float(abs(mp.mpf(float(r)) - t) / scale)
    return errors


# Zero crossings other than those at x = 0 (there the relative error is held).
# The absolute error counts where |x| is within a quarter of one of them.
_CROSSINGS = {
    ("silu", 1): (1.278,),
    ("silu", 2): (2.399,),
    ("gelu", 1): (0.7518,),
    ("gelu", 2): (2**0.5,),
    ("gelu_tanh", 1): (0.7525,),
    ("gelu_tanh", 2): (1.4024,),
    ("mish", 1): (1.192,),
    ("mish", 2): (2.256, 1.491),
    ("gaussian", 2): (0.5**0.5,),
}


def _crossing(name, order, x):
    x = np.abs(np.asarray(x, np.float64))
    if name.startswith("sine"):
        return x > 1e-2
    near = np.zeros(len(x), bool)
    for zero in _CROSSINGS.get((name, order), ()):
        near |= np.abs(x - zero) < 0.25 * zero
    return near
