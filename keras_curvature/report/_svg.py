"""What matplotlib writes, made fit to stand within a page."""

import io
import re

from keras_curvature.report._html import Markup, element

# Stands for the color of the text of the page, whichever that is.
INK = "#010203"
# The colors of the plots, and what the page calls them.
_COLORS = {
    INK: "currentColor",
    "#000000": "currentColor",
    "#ffffff": "var(--paper)",
    "#0072b2": "var(--blue)",
    "#d55e00": "var(--orange)",
    "#009e73": "var(--green)",
    "#999999": "var(--grey)",
    "#767676": "var(--grey)",
}


def as_inline_svg(figure, name, title):
    """A figure as an element `svg`, without a name that another has too.

    Args:
        figure: `matplotlib.figure.Figure`.
        name: String, the first part of all ids within.
        title: String, what it shows.
    """
    buffer = io.StringIO()
    # Dates and the like are not for a page, nor is a random salt.
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    import matplotlib

    with matplotlib.rc_context({"svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", metadata=nothing)
    drawn = buffer.getvalue()
    box = re.search(r'viewBox="([^"]*)"', drawn).group(1)
    inner = drawn[drawn.index(">", drawn.index("<svg")) + 1 :]
    inner = inner[: inner.rindex("</svg>")]
    inner = re.sub(r"<metadata>.*?</metadata>", "", inner, flags=re.S)
    # Its rules would hold for all of the page.
    inner = re.sub(r"<style.*?</style>", "", inner, flags=re.S)
    inner = re.sub(r"<!--.*?-->", "", inner, flags=re.S)
    return element(
        "svg",
        element("title", title, id=f"{name}-title"),
        Markup(_restyled(_renamed(inner, name))),
        class_="plot",
        viewBox=box,
        role="img",
        aria_labelledby=f"{name}-title",
    )


def _renamed(inner, name):
    """The same with ids of this picture's own, and only those that are used."""
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', inner))

    def own(match):
        return f' id="{name}-{match[1]}"' if match[1] in used else ""

    def of_tag(match):
        tag = re.sub(r' id="([^"]*)"', own, match[0])
        tag = tag.replace("xlink:href", "href")
        return re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", tag)

    return _TAG.sub(of_tag, inner)


# Names of layers stand between tags, and stay what they are.
_TAG = re.compile(r"<[^>]*>")


def _restyled(inner):
    """The same in the colors and the type of the page."""

    def of_attribute(match):
        style = match[1]
        for color, variable in _COLORS.items():
            style = re.sub(color, variable, style, flags=re.I)
        style = re.sub(r"font(-family)?:[^;]*'[^;]*(;|$)", _size_alone, style)
        return f'style="{style.strip()}"'

    def of_tag(match):
        tag = re.sub(r'style="([^"]*)"', of_attribute, match[0])
        # Points with many digits are most of a file.
        tag = re.sub(r"\d+\.\d{3,}", lambda m: f"{float(m[0]):.2f}", tag)
        return " ".join(tag.split())

    return re.sub(r">\s+<", "><", _TAG.sub(of_tag, inner)).strip()


def _size_alone(match):
    """The size that a shorthand for a font holds, if it is one."""
    size = re.search(r"([\d.]+)px", match[0])
    return f"font-size: {size[1]}px;" if size else ""
