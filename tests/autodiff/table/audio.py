"""Rows for spectrograms."""

from tests.autodiff.table.case import FLOAT32, NONE, grid


def rows():
    found = grid(
        "STFTSpectrogram",
        (16, 1),
        {},
        {"mode": "psd"},
        {"mode": "magnitude"},
        {"mode": "real"},
        {"mode": "imag"},
        frame_length=8,
        frame_step=4,
        fft_length=8,
    )
    found += grid(
        "STFTSpectrogram",
        (16, 1),
        mode="angle",
        frame_length=8,
        settings={
            "option": "mode='angle'",
            "expected": NONE,
            "reason": "the angle jumps where a spectrum is real and negative",
        },
    )
    found += grid(
        "MelSpectrogram",
        (64,),
        fft_length=16,
        sequence_stride=8,
        num_mel_bins=4,
        sampling_rate=100,
        settings={"option": "", **FLOAT32},
    )
    return found
