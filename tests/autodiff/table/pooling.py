"""Rows for pooling, and for layers that repeat, pad and crop."""

from tests.autodiff.table.case import CHANNELS_FIRST, FLOAT32, grid, layer
from tests.autodiff.table.masks import mask

_SHAPES = {1: (5, 2), 2: (5, 4, 2), 3: (4, 4, 4, 2)}
_FIRST = {1: (4, 5), 2: (4, 5, 4), 3: (4, 4, 3, 3)}


def rows():
    found = []
    for rank in (1, 2, 3):
        found += _pooling(rank) + _global_pooling(rank) + _borders(rank)
    return found + _interpolation() + _channels_first()


def _pooling(rank):
    # TensorFlow pools three dimensions in single precision only.
    settings = FLOAT32 if rank == 3 else {}
    options = [
        {"pool_size": 2},
        {"pool_size": 3, "strides": 1, "padding": "same"},
    ]
    found = []
    for kind in ("Average", "Max"):
        name, shape = f"{kind}Pooling{rank}D", _SHAPES[rank]
        found += grid(name, shape, *options, settings=settings)
        found += grid(
            f"Adaptive{name}", shape, output_size=2, settings=settings
        )
    found += grid(
        f"AveragePooling{rank}D",
        _FIRST[rank],
        CHANNELS_FIRST,
        pool_size=2,
        settings=settings,
    )
    return found


def _global_pooling(rank):
    average = f"GlobalAveragePooling{rank}D"
    maximum = f"GlobalMaxPooling{rank}D"
    return [
        *grid(average, _SHAPES[rank]),
        *grid(average, _FIRST[rank], CHANNELS_FIRST),
        *grid(maximum, _SHAPES[rank], {"keepdims": True}),
        *grid(maximum, _FIRST[rank], CHANNELS_FIRST),
        *(_masked_average() if rank == 1 else ()),
    ]


def _masked_average():
    yield layer(
        "GlobalAveragePooling1D",
        (5, 2),
        settings={"option": "mask"},
        call=lambda f, t, training: f(t[0], mask=mask(t[0])),
    )


def _borders(rank):
    shape = _SHAPES[rank]
    return [
        *grid(f"UpSampling{rank}D", shape, size=2),
        *grid(f"ZeroPadding{rank}D", shape),
        *grid(f"Cropping{rank}D", shape, cropping=1),
        *grid(f"SpatialDropout{rank}D", shape, rate=0.5),
    ]


def _interpolation():
    return grid(
        "UpSampling2D",
        (3, 4, 2),
        {"interpolation": "bilinear"},
        {"interpolation": "bicubic"},
        {"interpolation": "lanczos3"},
        {"interpolation": "lanczos5"},
        settings=FLOAT32,
    )


def _channels_first():
    return [
        *grid("UpSampling2D", (4, 3, 3), CHANNELS_FIRST),
        *grid("ZeroPadding2D", (4, 3, 3), CHANNELS_FIRST),
        *grid("Cropping2D", (4, 3, 3), CHANNELS_FIRST, cropping=1),
        *grid("Flatten", (4, 3, 3), CHANNELS_FIRST),
    ]
