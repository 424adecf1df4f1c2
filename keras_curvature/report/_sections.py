"""The sections of a page, each with a sentence that says how to read it."""

from keras_curvature.report import _pictures as pictures
from keras_curvature.report._ends import both_ends
from keras_curvature.report._findings import (
    gradient_sentence,
    sharpness_sentence,
)
from keras_curvature.report._html import table
from keras_curvature.report._layout import figure, missing, placed, section
from keras_curvature.report._numbers import count, number, percent, short


def sharpness(report):
    limit = report.stability_limit
    rows = [
        ["largest eigenvalue", number(report.sharpness)],
        ["its residual", number(report.largest.residuals[0], 2)],
        ["learning rate", short(report.learning_rate)],
        ["2 / learning rate", number(limit)],
    ]
    if limit is not None:
        share = number(100 * report.sharpness / limit, 2)
        rows.append(["share of it", f"{share}\u00a0%"])
    reason = None
    if limit is None:
        reason = "The model is not compiled with a learning rate."
    elif report.optimizer != "SGD":
        reason = (
            f"The model is compiled with {report.optimizer}, whose own limit "
            "is another, since it scales the gradient."
        )
    return section(
        "Sharpness",
        "The sharpness is the largest eigenvalue of the Hessian, the curvature "
        "of the loss in its steepest direction; plain gradient descent turns "
        "unstable where it exceeds 2 / learning rate.",
        placed("aside", table("Sharpness", ["quantity", "value"], rows)),
        says=sharpness_sentence(report),
        notes=[reason] if reason else [],
    )


def eigenvalues(report):
    rows = [
        [
            count(rank),
            number(value, 5),
            number(residual, 2) + ("" if converged else " (not converged)"),
        ]
        for rank, value, residual, converged in both_ends(report)
    ]
    header = ["rank", "eigenvalue", "residual"]
    return section(
        "Eigenvalues",
        "Each is the curvature along one direction of the weights: a few large "
        "ones are directions that matter, a negative one (orange) is a "
        "direction in which the loss bends down; the residual says how far off "
        "it may be.",
        figure(pictures.eigenvalue_picture(report)),
        placed("beside", table("Eigenvalues", header, rows)),
    )


def trace(report):
    found = report.trace
    low, high = (
        number(found.value + sign * 2 * found.standard_error)
        for sign in (-1, 1)
    )
    exact = not found.standard_error
    says = (
        f"The trace is {number(found.value)}, exactly."
        if exact
        else f"The trace is {number(found.value)} ± "
        f"{number(found.standard_error, 2)}, most likely between {low} and "
        f"{high}."
    )
    rows = [
        ["trace", number(found.value)],
        ["standard error", number(found.standard_error, 2)],
        ["mean eigenvalue", number(found.value / report.weights)],
        ["products", count(found.products)],
    ]
    return section(
        "Trace",
        "The trace is the sum of all eigenvalues; after ± stands the standard "
        "error of its estimate, which the true value exceeds one time in "
        "three, twice it one time in twenty.",
        placed("aside", table("Trace", ["quantity", "value"], rows)),
        says=says,
    )


def density(report):
    how = (
        "The curve says, on a logarithmic scale, how many of the eigenvalues "
        "lie where: the peak at 0 holds directions that hardly matter, "
        "single bumps far from it the few that do."
    )
    if report.density is None:
        return missing("Spectral density", how, report.missing["density"])
    runs, steps = report.density.nodes.shape
    caption = (
        f"{count(report.density.size)} eigenvalues, from {runs} runs of "
        f"{steps} steps. The band is two standard errors wide to each side."
    )
    return section(
        "Spectral density",
        how,
        figure(pictures.density_picture(report), caption),
    )


def split(report):
    how = (
        "The Gauss–Newton part has the curvature of the loss alone, the next "
        "what the bends f″ of the activations add, the rest regularizers and "
        "what bends otherwise; in each row the shares add up to 100 %, and one "
        "below 0 takes curvature away."
    )
    title = "Where the curvature comes from"
    if report.split is None:
        return missing(title, how, report.missing["split"])
    header = [
        *("layer", "weights", "trace", "±", "Gauss–Newton"),
        *("f″ of activations", "rest"),
    ]
    rows = [
        [
            row.name,
            count(row.size),
            number(row.traces["hessian"].value),
            number(row.traces["hessian"].standard_error, 2),
            *(
                percent(row.trace_share(part))
                for part in ("gauss_newton", "activations", "rest")
            ),
        ]
        for row in (*report.split.layers, report.split.total)
    ]
    left_out = len(report.split.layers) - pictures.MOST_ROWS
    caption = (
        f"The {pictures.MOST_ROWS} layers with the largest traces."
        if left_out > 0
        else None
    )
    return section(
        title,
        how,
        figure(pictures.split_picture(report), caption),
        placed("wide", table("Parts of the trace by layer", header, rows)),
        notes=report.split.notes,
    )


def activations(report):
    how = (
        "The gradient comes from the loss to each activation f, and |f′| says "
        "how much of it goes on: little of it passes where values are "
        "saturated (|f′| below 0.05), and nothing at a unit that is dead, "
        "saturated for all samples."
    )
    found = report.activations
    if found is None:
        return missing("Activations", how, report.missing["activations"])
    header = [
        *("layer", "f", "units", "mean |f′|", "mean |f″|", "saturated"),
        *("dead", "gradient norm", "passed on", "share"),
    ]
    rows = [
        [
            a.name,
            a.function,
            count(a.units),
            number(a.mean_first, 3),
            number(a.mean_second, 3),
            percent(a.saturated),
            percent(a.dead),
            number(a.gradient_norm, 3),
            number(a.passed_norm, 3),
            percent(a.passed),
        ]
        for a in found.activations
    ]
    narrowest = found.narrowest
    mark = found.activations.index(narrowest) if narrowest else None
    more = len(found.activations) > pictures.MOST_ROWS
    caption = f"The first {pictures.MOST_ROWS} of them." if more else None
    return section(
        "Activations",
        how,
        figure(pictures.activation_picture(report), caption),
        placed("wide", table("Activations", header, rows, mark)),
        says=gradient_sentence(report),
        notes=found.notes,
    )


def landscape(report):
    how = (
        "The loss on both sides of the weights (cross) along the first "
        "eigenvector; the dashed line is what gradient and curvature at the "
        "cross foretell, and where the two part their picture ends."
    )
    if report.landscape is None:
        return missing("Loss landscape", how, report.missing["landscape"])
    return section(
        "Loss landscape",
        how,
        figure(pictures.landscape_picture(report)),
    )


def reliability(report):
    how = (
        "Of predictions made with confidence p a share p should be right: "
        "bars below the diagonal are of predictions that are too sure."
    )
    if "reliability" in report.missing:
        return missing("Calibration", how, report.missing["reliability"])
    if report.reliability is None:
        return None
    error = report.reliability.expected_calibration_error
    return section(
        "Calibration",
        how,
        figure(pictures.reliability_picture(report)),
        says=f"{percent(report.accuracy)} of the samples are classified "
        f"rightly; confidence and accuracy differ by {percent(error)} on "
        "average.",
    )


SECTIONS = (
    sharpness,
    eigenvalues,
    trace,
    density,
    split,
    activations,
    landscape,
    reliability,
)
