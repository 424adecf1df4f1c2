"""What the plots draw, and where."""

import sys

import matplotlib
import numpy as np
import pytest
import tensorflow as tf
from matplotlib import pyplot

from keras_curvature.layers import Softplus
from keras_curvature.linalg import Eigenpairs, SpectralDensity
from keras_curvature.plots import (
    plot_activation,
    plot_eigenvalues,
    plot_spectral_density,
)

matplotlib.use("Agg")

# Two runs that disagree about how many eigenvalues are 2.
SPECTRUM = SpectralDensity(
    nodes=np.array([[0.0, 2.0], [0.0, 2.0]]),
    weights=np.array([[0.5, 0.5], [0.7, 0.3]]),
    size=50,
    products=4,
)
PAIRS = Eigenpairs(
    values=np.array([5.0, -1.0, 3.0]),
    vectors=tf.zeros([4, 3]),
    residuals=np.array([0.1, 0.2, 0.3]),
    converged=np.array([True, True, False]),
    iterations=3,
    products=3,
)
PLOTS = {
    plot_spectral_density: SPECTRUM,
    plot_eigenvalues: PAIRS,
    plot_activation: "tanh",
}


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    pyplot.close("all")


@pytest.mark.parametrize("plot", PLOTS)
def test_a_plot_is_drawn_into_the_axes_given(plot):
    _, (left, right) = pyplot.subplots(1, 2)
    assert plot(PLOTS[plot], ax=right) is right
    assert right.lines and not left.lines
    assert len(pyplot.get_fignums()) == 1


@pytest.mark.parametrize("plot", PLOTS)
def test_a_plot_without_axes_makes_its_own(plot):
    axes = {plot(PLOTS[plot]), plot(PLOTS[plot])}
    assert len(axes) == len(pyplot.get_fignums()) == 2


@pytest.mark.parametrize("plot", PLOTS)
def test_without_matplotlib_the_extra_is_named(plot, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"pip install keras_curvature\[plo"):
        plot(PLOTS[plot])


def test_activation_is_drawn_with_both_derivatives():
    ax = plot_activation(Softplus(name="softplus"), start=-3.0, stop=2.0)
    curves = {line.get_label(): line.get_data() for line in ax.lines[1:]}
    sigmoid = {label: 1 / (1 + np.exp(-x)) for label, (x, _) in curves.items()}
    x, y = curves["f"]
    np.testing.assert_allclose([x[0], x[-1]], [-3, 2])
    np.testing.assert_allclose(y, np.log1p(np.exp(x)))
    np.testing.assert_allclose(curves["f′"][1], sigmoid["f′"])
    s = sigmoid["f″"]
    np.testing.assert_allclose(curves["f″"][1], s * (1 - s))
    assert [t.get_text() for t in ax.get_legend().texts] == ["f", "f′", "f″"]
    assert ax.get_title() == "softplus"


def test_activation_may_be_a_function_or_a_name():
    def cube(x):
        return x**3

    ax = plot_activation(cube)
    x, second = ax.lines[3].get_data()
    np.testing.assert_allclose(second, 6 * x)
    assert ax.get_title() == "cube"
    assert plot_activation("tanh").get_title() == "tanh"


def test_eigenvalues_stand_in_order_with_their_residuals():
    ax = plot_eigenvalues(PAIRS)
    shown = {}
    for points, _, (bars,) in ax.containers:
        for (x, y), bar in zip(
            points.get_xydata(), bars.get_segments(), strict=True
        ):
            hollow = points.get_markerfacecolor() == "none"
            shown[x] = (y, np.ptp(bar[:, 1]) / 2, hollow, points.get_color())
    np.testing.assert_allclose(
        [shown[x][:2] for x in (1, 2, 3)], [[5, 0.1], [3, 0.3], [-1, 0.2]]
    )
    assert [shown[x][2] for x in (1, 2, 3)] == [False, True, False]
    assert shown[1][3] == shown[2][3] != shown[3][3]
    assert ax.get_yscale() == "linear"


@pytest.mark.parametrize(
    "values, scale",
    [([100.0, 1.0], "log"), ([99.0, 1.0], "linear"), ([100.0, 0], "linear")],
)
def test_the_scale_fits_the_eigenvalues(values, scale):
    assert plot_eigenvalues(values).get_yscale() == scale


def test_density_is_the_mean_of_the_runs():
    width = 0.1
    ax = plot_spectral_density(SPECTRUM, width=width, points=401)
    (line,) = ax.lines
    x, y = line.get_data()
    peaks = 1 / (width * np.sqrt(2 * np.pi))
    expected = 0.6 * np.exp(-(x**2) / (2 * width**2))
    expected += 0.4 * np.exp(-((x - 2) ** 2) / (2 * width**2))
    np.testing.assert_allclose(y, peaks * expected, rtol=1e-10)
    # The whole of the outermost Gaussians.
    np.testing.assert_allclose([x[0], x[-1]], [-0.4, 2.4])
    # Two standard errors: 0.6 ± 2·0.1.
    (band,) = ax.collections
    top = band.get_paths()[0].vertices[:, 1].max()
    np.testing.assert_allclose(top, 0.8 * peaks, rtol=1e-3)
    # A single one of 50 eigenvalues is 10 times the lower end.
    np.testing.assert_allclose(ax.get_ylim()[0], peaks / 50 / 10)
    assert ax.get_yscale() == "log"


def test_a_single_run_has_no_band():
    single = SPECTRUM._replace(
        nodes=SPECTRUM.nodes[:1], weights=SPECTRUM.weights[:1]
    )
    assert not plot_spectral_density(single).collections


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: plot_eigenvalues([]), ValueError, r"k ≥ 1, .* shape \(0,\)"),
        (lambda: plot_eigenvalues([np.nan]), ValueError, "not finite"),
        (lambda: plot_spectral_density([1.0]), TypeError, "Received: list"),
        (
            lambda: plot_spectral_density(SPECTRUM, width=-1.0),
            ValueError,
            "`width` must be a finite number > 0",
        ),
        (
            lambda: plot_spectral_density(SPECTRUM, points=1),
            ValueError,
            "`points` must be an integer ≥ 2",
        ),
        (
            lambda: plot_activation("tanh", start=1.0, stop=1.0),
            ValueError,
            "`stop` must be a finite number > 1",
        ),
    ],
)
def test_wrong_arguments_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
    assert not pyplot.get_fignums()
