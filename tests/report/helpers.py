"""Reports and pages for the tests of this folder."""

import html.parser

import numpy as np

from keras_curvature.diagnostics import (
    ActivationReport,
    ActivationStatistics,
    CurvatureSplit,
    LayerSplit,
    LossLandscape,
)
from keras_curvature.linalg import Eigenpairs, SpectralDensity, TraceEstimate
from keras_curvature.report import CurvatureReport
from keras_curvature.uncertainty import Reliability

HOSTILE = "<script>alert(1)<script> & \"$x'"
# Elements of HTML that have no end.
WITHOUT_END = {"meta", "link", "br", "img", "hr"}


def pairs(values, residual=0.0, converged=True):
    values = np.array(values)
    return Eigenpairs(
        values,
        None,
        np.full(values.shape, residual),
        np.full(values.shape, converged),
        5,
        5,
    )


def layer_split(name, *numbers):
    parts = ("hessian", "gauss_newton", "activations", "rest")
    estimates = [TraceEstimate(number, 0.5, 1) for number in numbers]
    found = dict(zip(parts, estimates, strict=True))
    return LayerSplit(name, 5, found, found)


def made_up_report(name="digits", layer="first", **changes):
    """A `CurvatureReport` of which nothing was measured."""
    a = np.linspace(-1, 1, 21)
    report = dict(
        model=name, parameters=12345, weights=12345, layers=None,
        samples=1000, loss=0.25, loss_name="mean_squared_error",
        gradient_norm=1e-5, optimizer="SGD", learning_rate=0.1,
        largest=pairs([8.0, 4.0]), smallest=pairs([-0.5, -0.25]),
        trace=TraceEstimate(123.4, 1.5, 100),
        density=SpectralDensity(
            np.array([[0.0, 2.0], [0.1, 8.0]]),
            np.array([[0.9, 0.1], [0.9, 0.1]]), 12345, 4,
        ),
        split=CurvatureSplit(
            [layer_split(f"net/{layer}", 10.0, 6.0, 3.0, 1.0)],
            layer_split("all", 10.0, 6.0, 3.0, 1.0), ["a note of the split."],
        ),
        activations=ActivationReport(
            [
                ActivationStatistics(
                    layer, "tanh", 8, 0.5, 0.4, 0.25, 0.125, 2.0, 0.5
                ),
                ActivationStatistics(
                    "last", "sigmoid", 4, 0.2, 0.1, 0.0, 0.0, None, 1.0
                ),
            ],
            0.05, 1000, [],
        ),
        landscape=LossLandscape((a,), 0.25 + 4 * a**2, 0.25), slope=0.0,
        reliability=Reliability(
            np.array([0.0, 0.5, 1.0]), np.array([4, 6]),
            np.array([0.4, 0.8]), np.array([0.5, 1.0]),
        ),
        accuracy=0.8, missing={}, notes=[], products=1000, seconds=3.2, seed=0,
    )  # fmt: skip
    return CurvatureReport(**report | changes)


class Page(html.parser.HTMLParser):
    """The elements of a page, and the faults of its markup.

    Attributes:
        elements: List of pairs of a name and a dict of attributes.
        texts: Dict from names of elements to lists of the texts within.
        faults: List of strings.
    """

    def __init__(self, text):
        super().__init__()
        self.elements, self.texts, self.faults = [], {}, []
        self._open = []
        self.feed(text)
        self.close()
        self.faults += [f"{name} stays open" for name, _ in self._open]

    def handle_starttag(self, name, attributes):
        keys = [key for key, _ in attributes]
        if len(set(keys)) < len(keys):
            self.faults.append(f"{name} has an attribute twice")
        self.elements.append((name, dict(attributes)))
        if name not in WITHOUT_END:
            self._open.append((name, []))

    def handle_startendtag(self, name, attributes):
        self.elements.append((name, dict(attributes)))

    def handle_endtag(self, name):
        if not self._open or self._open[-1][0] != name:
            self.faults.append(f"{name} ends where it does not begin")
            return
        _, texts = self._open.pop()
        self.texts.setdefault(name, []).append("".join(texts))

    def handle_data(self, data):
        for _, texts in self._open:
            texts.append(data)

    def of(self, name):
        """Dicts of the attributes of all elements with a name."""
        return [found for kind, found in self.elements if kind == name]
