"""One page that needs nothing but itself."""

import keras
import tensorflow as tf

from keras_curvature._version import __version__
from keras_curvature.report._findings import findings
from keras_curvature.report._html import Markup, element, joined
from keras_curvature.report._numbers import count, duration, number, percent
from keras_curvature.report._sections import SECTIONS
from keras_curvature.report._style import STYLE

# Nothing may be loaded, sent or run, whatever names a model has.
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'"
)


def page(report, source):
    """The page of a `CurvatureReport`, a string.

    Args:
        report: `CurvatureReport`.
        source: Pairs of strings, a name and a text.
    """
    title = f"Curvature of {report.model}"
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element(
            "meta",
            name="viewport",
            content="width=device-width, initial-scale=1",
        ),
        element("meta", name="color-scheme", content="light dark"),
        element("link", rel="icon", href="data:,"),
        element("title", title),
        element("style", Markup(STYLE)),
    )
    body = element(
        "body",
        _header(report, title),
        element("main", [section(report) for section in SECTIONS]),
        _footer(report, source),
    )
    return "<!DOCTYPE html>\n" + element("html", head, body, lang="en") + "\n"


def _header(report, title):
    return element(
        "header",
        element("p", "Curvature report", class_="kind"),
        element("h1", title),
        element(
            "ul",
            [element("li", sentence) for sentence in findings(report)],
            class_="findings",
        ),
        element(
            "dl", [_figure(*f) for f in _figures(report)], class_="figures"
        ),
    )


def _figures(report):
    """Name, value and remark of the numbers at the head of the page."""
    chosen = report.weights != report.parameters
    limit = report.stability_limit
    beside = f"2 / learning rate is {number(limit)}" if limit else None
    of_all = f"of {count(report.parameters)}" if chosen else None
    error = report.trace.standard_error
    yield "Loss", number(report.loss), report.loss_name.replace("_", " ")
    yield "Samples", count(report.samples), None
    yield "Weights", count(report.weights), of_all
    yield "Gradient norm", number(report.gradient_norm), None
    yield "Sharpness", number(report.sharpness), beside
    yield "Smallest eigenvalue", number(float(report.smallest.values[0])), None
    yield "Trace", number(report.trace.value), f"± {number(error, 2)}"
    if report.accuracy is not None:
        yield "Accuracy", percent(report.accuracy), "on these samples"
    yield "Measured in", duration(report.seconds), None


def _figure(name, value, remark):
    small = element("small", remark) if remark else None
    return element("div", element("dt", name), element("dd", value, small))


def _footer(report, source):
    pairs = [
        *source,
        ("Optimizer", report.optimizer or "none"),
        ("Layers", ", ".join(report.layers) if report.layers else "all"),
        ("Seed", str(report.seed)),
        ("Products", f"{count(report.products)} with vectors"),
        (
            "Versions",
            f"keras_curvature {__version__}, Keras {keras.__version__}, "
            f"TensorFlow {tf.__version__}",
        ),
    ]
    notes = [element("p", note) for note in report.notes]
    return element(
        "footer",
        element("h2", "How it was measured"),
        element(
            "p",
            "All derivatives are exact, by automatic differentiation. "
            "Eigenvalues are from Lanczos's method, the trace is from "
            "Hutchinson's estimator, the density from Lanczos quadrature; "
            "random vectors follow from the seed.",
        ),
        notes,
        element(
            "dl",
            joined(
                [
                    [element("dt", name), element("dd", text)]
                    for name, text in pairs
                ]
            ),
        ),
    )
