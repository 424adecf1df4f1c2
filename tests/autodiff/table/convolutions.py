"""Rows for convolutions."""

from tests.autodiff.table.case import CHANNELS_FIRST, JIT, grid

_SIZES = {"filters": 2, "kernel_size": 2}
_SHAPES = {1: (5, 4), 2: (5, 4, 4), 3: (4, 3, 3, 4)}
_FIRST = {1: (4, 5), 2: (4, 5, 4), 3: (4, 4, 3, 3)}


def rows():
    return [
        row
        for rank in (1, 2, 3)
        for row in (*_plain(rank), *_transposed(rank), *_depthwise(rank))
    ]


def _plain(rank):
    options = [
        {},
        {"padding": "same"},
        {"strides": 2},
        {"dilation_rate": 2},
        {"groups": 2},
        {"activation": "tanh", "use_bias": False},
    ]
    if rank == 1:
        options.append({"padding": "causal"})
    found = grid(f"Conv{rank}D", _SHAPES[rank], *options, **_SIZES)
    found += grid(
        f"Conv{rank}D",
        _FIRST[rank],
        CHANNELS_FIRST,
        settings={} if rank == 3 else JIT,
        **_SIZES,
    )
    return found


def _transposed(rank):
    name = f"Conv{rank}DTranspose"
    found = grid(
        name,
        _SHAPES[rank],
        {},
        {"strides": 2, "padding": "same"},
        {"strides": 2, "output_padding": 1},
        **_SIZES,
    )
    if rank != 3:
        dilated = {"dilation_rate": 2}
        found += grid(name, _SHAPES[rank], dilated, settings=JIT, **_SIZES)
    if rank == 2:
        found += grid(name, _FIRST[2], CHANNELS_FIRST, settings=JIT, **_SIZES)
    return found


def _depthwise(rank):
    if rank == 3:
        return []
    options = [
        {},
        {"padding": "same", "depth_multiplier": 2},
        {"strides": 2},
        {"dilation_rate": 2},
    ]
    shape = _SHAPES[rank]
    return [
        *grid(f"DepthwiseConv{rank}D", shape, *options, kernel_size=2),
        *grid(f"SeparableConv{rank}D", shape, *options, **_SIZES),
    ]
