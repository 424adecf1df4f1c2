"""Transforms of signals beside those among the matrices."""

import numpy as np
import tensorflow as tf

signal = tf.signal
_RNG = np.random.default_rng(5)
_SERIES, _FRAMES = _RNG.normal(size=8), _RNG.normal(size=(3, 4))


def _complex(w):
    return tf.complex(w, w**2)


def rows():
    of_series = {
        "frame": lambda w: signal.frame(w**2, 3, 1),
        "rfft, odd length": lambda w: tf.abs(signal.rfft(w[:7])),
        "irfft, odd length": lambda w: signal.irfft(_complex(w[:4]), [7]),
    }
    of_frames = {
        "overlap_and_add": lambda w: signal.overlap_and_add(w**2, 1),
        "dct, type 3": lambda w: signal.dct(w**2, 3, norm="ortho"),
        "ifft2d": lambda w: tf.abs(signal.ifft2d(_complex(w))),
        "fftshift": lambda w: signal.fftshift(w**2),
        "mfccs_from_log_mel_spectrograms": (
            lambda w: signal.mfccs_from_log_mel_spectrograms(w**2)
        ),
    }
    return {
        f"signal.{name}": (function, point)
        for functions, point in ((of_series, _SERIES), (of_frames, _FRAMES))
        for name, function in functions.items()
    }
