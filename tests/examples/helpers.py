"""Running examples, and looking at what they plot."""

import importlib.util
import pathlib
import subprocess
import sys

import numpy as np
from matplotlib import colors, image

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"
# Okabe and Ito's colors of the methods that the examples compare.
COLORS = {"blue": "#0072B2", "orange": "#E69F00"}


def loaded(name):
    """An example as a module, which may import those beside it."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(EXAMPLES))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(EXAMPLES))
    return module


def run(script, *options):
    """What the script prints, on its standard output alone."""
    command = [sys.executable, EXAMPLES / script, *options]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    # No warning of ours, of Keras or of TensorFlow stands between the lines.
    assert result.stderr == ""
    return result.stdout


def check_plot(plot):
    """A plot of readable size with a curve, or points, of each method."""
    pixels = image.imread(plot)[..., :3]
    assert min(pixels.shape[:2]) > 400
    for name, color in COLORS.items():
        distance = np.abs(pixels - np.array(colors.to_rgb(color)))
        assert (distance.max(axis=-1) < 0.02).sum() > 100, name
