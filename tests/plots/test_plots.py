"""What the plots draw, and where."""

import dataclasses
import sys

import matplotlib
import numpy as np
import pytest
import tensorflow as tf
from matplotlib import pyplot

from keras_curvature.diagnostics import (
    ActivationReport,
    ActivationStatistics,
    CurvatureSplit,
    LayerSplit,
    LossLandscape,
)
from keras_curvature.layers import Softplus
from keras_curvature.linalg import Eigenpairs, SpectralDensity, TraceEstimate
from keras_curvature.plots import (
    plot_activation,
    plot_activation_report,
    plot_curvature_split,
    plot_eigenvalues,
    plot_loss_landscape,
    plot_reliability,
    plot_spectral_density,
)
from keras_curvature.uncertainty import Reliability

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
RELIABILITY = Reliability(
    edges=np.array([0.0, 0.5, 1.0]),
    counts=np.array([0, 4]),
    confidence=np.array([np.nan, 0.8]),
    accuracy=np.array([np.nan, 0.5]),
)
A = np.linspace(-1, 1, 21)
BOWL = LossLandscape((A, A), 1 + A[:, None] ** 2 + 0 * A, 1.0)


def layer_split(name, *numbers):
    parts = ("hessian", "gauss_newton", "activations", "rest")
    estimates = [TraceEstimate(number, 0.0, 1) for number in numbers]
    found = dict(zip(parts, estimates, strict=True))
    return LayerSplit(name, 5, found, found)


SPLIT = CurvatureSplit(
    [layer_split("a", 3.0, 2.0, 1.0, 0.0), layer_split("b", 2.0, 5.0, -3.0, 0)],
    layer_split("all", 5.0, 7.0, -2.0, 0.0),
    [],
)
REPORT = ActivationReport(
    [
        ActivationStatistics("a", "tanh", 3, 0.5, 0.4, 0.25, 0.125, 2.0, 1.0),
        ActivationStatistics("b", "sigmoid", 1, 0.2, 0.1, 0, 0, None, 1.0),
    ],
    0.05,
    10,
    [],
)
PLOTS = {
    plot_loss_landscape: BOWL,
    plot_curvature_split: SPLIT,
    plot_activation_report: REPORT,
    plot_spectral_density: SPECTRUM,
    plot_eigenvalues: PAIRS,
    plot_activation: "tanh",
    plot_reliability: RELIABILITY,
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


def test_reliability_shows_the_bins_that_hold_predictions():
    ax = plot_reliability(RELIABILITY)
    (bar,) = ax.patches
    assert (bar.get_x(), bar.get_width(), bar.get_height()) == (0.5, 0.5, 0.5)
    np.testing.assert_array_equal(ax.lines[1].get_xydata(), [[0.8, 0.5]])
    assert "0.300" in ax.get_title()
    with pytest.raises(ValueError, match="reliability"):
        plot_reliability([0.5])


@pytest.mark.parametrize("count", [3, 6, 7, 49])
def test_the_fullest_bin_is_drawn_at_full_strength(count):
    counts = np.array([1, count])
    full = dataclasses.replace(
        RELIABILITY,
        counts=counts,
        confidence=np.array([0.3, 0.8]),
        accuracy=np.array([0.5, 1.0]),
    )
    strengths = [bar.get_alpha() for bar in plot_reliability(full).patches]
    np.testing.assert_allclose(strengths, 0.2 + 0.8 * counts / count)


def bars(ax):
    """The lengths of the bars by their label."""
    return {
        c.get_label(): [bar.get_width() for bar in c] for c in ax.containers
    }


def layer_names(ax):
    return [label.get_text() for label in ax.get_yticklabels()]


def test_curvature_split_has_a_bar_for_each_part():
    ax = plot_curvature_split(SPLIT)
    assert layer_names(ax) == ["a", "b", "all"]
    assert bars(ax) == {
        "Gauss–Newton": [2, 5, 7],
        "f″ of activations": [1, -3, -2],
        "rest": [0, 0, 0],
    }
    # The first layer is on top.
    assert ax.yaxis_inverted()
    assert plot_curvature_split(SPLIT, quantity="norm").get_xlabel() == (
        "Frobenius norm"
    )


def test_activation_report_leaves_out_what_is_not_known():
    ax = plot_activation_report(REPORT)
    assert layer_names(ax) == ["a (tanh)", "b (sigmoid)"]
    found = bars(ax)
    np.testing.assert_equal(found["gradient passed on"], [0.5, np.nan])
    assert found["values saturated"] == [0.25, 0]
    assert found["units dead"] == [0.125, 0]


def test_the_first_direction_of_a_landscape_is_the_horizontal_one():
    ax = plot_loss_landscape(BOWL)
    filled = ax.collections[0]
    # The valley, where only the second direction moves, stands upright.
    low = filled.get_paths()[0].get_extents()
    assert low.height == 2 and low.width < 1
    (cross,) = ax.lines
    assert cross.get_xydata().tolist() == [[0, 0]]


def test_a_line_of_losses_has_a_logarithmic_scale_over_many_decades():
    line = LossLandscape((A,), 10 ** (4 * np.abs(A)), 1.0)
    ax = plot_loss_landscape(line)
    assert ax.get_yscale() == "log"
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), line.losses)
    flat = plot_loss_landscape(LossLandscape((A,), 1 + A**2, 1.0))
    assert flat.get_yscale() == "linear"


def test_losses_that_are_not_finite_stay_blank():
    losses = BOWL.losses.copy()
    losses[:5] = np.inf
    ax = plot_loss_landscape(LossLandscape((A, A), losses, 1.0))
    paths = [p for p in ax.collections[0].get_paths() if len(p)]
    assert min(p.get_extents().x0 for p in paths) >= A[5]
    with pytest.raises(ValueError, match="Make `distance` smaller"):
        plot_loss_landscape(LossLandscape((A,), A * np.nan, np.nan))


@pytest.mark.parametrize(
    "plot", [plot_loss_landscape, plot_curvature_split, plot_activation_report]
)
def test_what_is_no_result_is_refused(plot):
    with pytest.raises(TypeError, match="must be what `keras_curvature"):
        plot([1.0, 2.0])
