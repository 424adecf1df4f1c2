"""How a section is made of its text, figures and tables."""

from keras_curvature.report._html import element


def section(title, how, *children, says=None, notes=()):
    """A section: its text, and beside or below it what it shows.

    Args:
        title: Its heading.
        how: The sentence that says how to read it.
        *children: Figures and tables, as `_figure` and its like give them.
        says: The sentences that say what is seen, or None.
        notes: Sentences that qualify it.
    """
    name = title.lower().replace(" ", "-")
    # Notes begin small, since they follow a colon elsewhere.
    lines = [element("li", n[:1].upper() + n[1:]) for n in notes]
    text = element(
        "div",
        element("h2", title, id=name),
        element("p", how, class_="how"),
        element("p", says, class_="says") if says else None,
        element("ul", lines, class_="notes") if lines else None,
        class_="text",
    )
    return element("section", text, *children, aria_labelledby=name)


def missing(title, how, reason):
    return section(title, how, says=f"Not measured: {reason}")


def figure(picture, caption=None):
    under = element("figcaption", caption) if caption else None
    return element("figure", picture, under)


def placed(place, child):
    """A table `"beside"` the figure, in its place (`"aside"`) or `"wide"`."""
    return element("div", child, class_=place)
