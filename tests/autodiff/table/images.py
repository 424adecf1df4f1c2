"""Rows for preprocessing of images."""

from tests.autodiff.table.case import FLOAT32, NONE, REFUSED, layer

_PIXELS = {"dtype": "float32", "range": (20.0, 230.0)}
_IMAGE_LAYERS = {
    "AugMix": {},
    "AutoContrast": {},
    "CenterCrop": {"height": 2, "width": 2},
    "ContrastLimitedAdaptiveHistogramEqualization": {"tile_grid_size": (2, 2)},
    "CutMix": {},
    "Equalization": {},
    "MixUp": {},
    "RandAugment": {},
    "RandomBrightness": {"factor": 0.2},
    "RandomColorDegeneration": {"factor": 0.5},
    "RandomColorJitter": {
        "brightness_factor": 0.2,
        "contrast_factor": 0.2,
        "saturation_factor": 0.2,
        "hue_factor": 0.1,
    },
    "RandomContrast": {"factor": 0.3},
    "RandomCrop": {"height": 3, "width": 3},
    "RandomElasticTransform": {},
    "RandomErasing": {},
    "RandomFlip": {},
    "RandomGaussianBlur": {},
    "RandomGrayscale": {"factor": 1.0},
    "RandomHue": {"factor": 0.2},
    "RandomInvert": {},
    "RandomPerspective": {},
    "RandomPosterization": {"factor": 4},
    "RandomRotation": {"factor": 0.1},
    "RandomSaturation": {"factor": 0.5},
    "RandomSharpness": {"factor": 0.5},
    "RandomShear": {"x_factor": 0.2, "y_factor": 0.2},
    "RandomTranslation": {"height_factor": 0.2, "width_factor": 0.2},
    "RandomZoom": {"height_factor": 0.2},
    "Solarization": {"threshold_factor": 0.5},
}


_HUE = "TensorFlow gives the conversion from hue no gradient"
_ROUNDING = {
    "AugMix": "mixes operations that round pixels",
    "ContrastLimitedAdaptiveHistogramEqualization": "counts rounded pixels",
    "Equalization": "counts rounded pixels",
    "RandAugment": "mixes operations that round pixels",
    "RandomColorJitter": _HUE,
    "RandomHue": _HUE,
    "RandomPosterization": "rounds pixels",
    "RandomSaturation": _HUE,
}


_TRANSFORM = "TensorFlow's gradient of the transform is not its transpose"
_WRONG_GRADIENT = (
    "RandomPerspective",
    "RandomRotation",
    "RandomShear",
    "RandomTranslation",
    "RandomZoom",
)


def rows():
    return [*map(_augmentation, _IMAGE_LAYERS), *_resizing()]


def _augmentation(name):
    settings = {**_PIXELS, "jit": False, "option": ""}
    if name in _ROUNDING:
        settings |= {"expected": NONE, "reason": _ROUNDING[name]}
    if name in _WRONG_GRADIENT:
        settings |= {"expected": REFUSED, "reason": _TRANSFORM}
    shape = (8, 8, 3) if "Equal" in name else (5, 5, 3)
    return layer(name, shape, settings=settings, **_IMAGE_LAYERS[name])


def _resizing():
    for interpolation in ("bilinear", "nearest", "bicubic", "lanczos3"):
        yield layer(
            "Resizing",
            (4, 4, 2),
            interpolation=interpolation,
            height=6,
            width=3,
            settings={**FLOAT32, "option": f"interpolation={interpolation!r}"},
        )
    yield layer(
        "Resizing",
        (6, 6, 2),
        height=3,
        width=4,
        antialias=True,
        settings={**FLOAT32, "option": "antialias=True"},
    )
