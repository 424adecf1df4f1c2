"""Rows for normalization layers."""

import keras

from tests.autodiff.table.case import REFUSED, Case, grid, layer
from tests.autodiff.table.masks import mask


def rows():
    return [
        *_batch(),
        *grid(
            "LayerNormalization",
            (3, 4),
            {},
            {"axis": 1},
            {"axis": (1, 2)},
            {"center": False, "scale": False},
        ),
        *grid("GroupNormalization", (3, 4), {}, {"groups": -1}, groups=2),
        *grid("GroupNormalization", (4, 3, 3), {"axis": 1}, groups=2),
        *grid("RMSNormalization", (3, 4)),
        *grid("UnitNormalization", (3, 4), {}, {"axis": 1}),
        *grid("Normalization", (4,), {}, {"invert": True}, **_GIVEN),
        *(_spectral(training) for training in (True, False)),
    ]


_GIVEN = {"mean": 0.1, "variance": 2.0}


def _batch():
    name = "BatchNormalization"
    return [
        *grid(
            name,
            (4,),
            {},
            {"center": False, "scale": False},
            {"synchronized": True},
        ),
        layer(name, (3, 4, 2), settings={"option": "of images"}),
        layer(name, (3, 4, 2), axis=1),
        layer(
            name, (4,), settings={"training": False, "option": "training=False"}
        ),
        layer(
            name,
            (5, 2),
            settings={"option": "mask"},
            call=lambda f, t, training: f(t[0], training=True, mask=mask(t[0])),
        ),
        layer(
            name,
            (4,),
            renorm=True,
            settings={
                "expected": REFUSED,
                "reason": (
                    "renorm stops the gradient at its correction by design"
                ),
            },
        ),
    ]


def _spectral(training):
    return Case(
        "layers.SpectralNormalization",
        f"Dense, training={training}",
        lambda: keras.layers.SpectralNormalization(keras.layers.Dense(3)),
        ((4,),),
        training=training,
        overwrites=training,
    )
