"""What the numbers of a report say, in sentences."""

from keras_curvature.report._numbers import number, percent

# An activation that lets more than this through holds nothing back.
_MUCH = 0.5


def findings(report):
    """The sentences at the head of the page."""
    found = [
        sharpness_sentence(report),
        lower_end_sentence(report),
        source_sentence(report),
        gradient_sentence(report),
    ]
    return [sentence for sentence in found if sentence]


def sharpness_sentence(report):
    limit, sharpness = report.stability_limit, number(report.sharpness)
    if limit is None:
        return f"The loss bends most with an eigenvalue of {sharpness}."
    share = report.sharpness / limit
    if share > 1:
        return (
            f"The sharpness {sharpness} exceeds 2 / learning rate = "
            f"{number(limit)}: plain gradient descent with this learning rate "
            "would be unstable here."
        )
    part = number(100 * share, 2)
    return (
        f"The sharpness {sharpness} is {part}\u00a0% of 2 / learning rate = "
        f"{number(limit)}, below which plain gradient descent is stable."
    )


def lower_end_sentence(report):
    lowest, residual = (
        float(values[0])
        for values in (report.smallest.values, report.smallest.residuals)
    )
    value = number(lowest)
    if lowest < -max(residual, 0.01 * abs(report.sharpness)):
        return (
            f"The smallest eigenvalue {value} is negative: there are "
            "directions in which the loss bends down, so this is no minimum."
        )
    if lowest < -residual:
        return (
            f"The smallest eigenvalue {value} is negative, but less than a "
            "hundredth of the largest in size: no direction bends down much."
        )
    return (
        f"The smallest eigenvalue is {value}, within its residual or above "
        "0: no direction is seen to bend down."
    )


def source_sentence(report):
    if report.split is None:
        return None
    share = report.split.total.trace_share("activations")
    if share is None:
        return None
    return (
        f"Of the trace of the Hessian {percent(share)} comes from the second "
        "derivatives f″ of the activations."
    )


def gradient_sentence(report):
    """Who kills the gradient, and where."""
    found = report.activations
    narrowest = found.narrowest if found is not None else None
    if narrowest is None:
        return None
    where = f"“{narrowest.name}” ({narrowest.function})"
    passed = percent(narrowest.passed)
    dead = round(narrowest.dead * narrowest.units)
    if narrowest.passed > _MUCH:
        return (
            f"No activation kills the gradient: the narrowest, {where}, "
            f"passes on {passed} of it."
        )
    return (
        f"The gradient loses most at {where}, which passes on {passed} of it; "
        f"{percent(narrowest.saturated)} of its values are saturated and "
        f"{dead} of its {narrowest.units} units dead."
    )
