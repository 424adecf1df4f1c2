"""Elements of a page, in which all text is escaped."""

import html

_WITHOUT_END = {"meta", "link"}


class Markup(str):
    """Text that is markup already."""


def element(name, /, *children, **attributes):
    """An element of HTML, as `Markup`.

    Args:
        name: Its name.
        *children: `Markup`; strings, which are escaped; None for nothing; or
            lists of these.
        **attributes: Strings; None leaves one out. `class_` stands for
            `class`, `aria_label` for `aria-label`.
    """
    pairs = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _WITHOUT_END:
        return Markup(f"<{name}{pairs}>")
    return Markup(f"<{name}{pairs}>{joined(*children)}</{name}>")


def joined(*children):
    """Children one after the other, as `Markup`."""
    parts = []
    for child in children:
        if isinstance(child, (list, tuple)):
            parts.append(joined(*child))
        elif isinstance(child, Markup):
            parts.append(child)
        elif child is not None:
            parts.append(html.escape(str(child)))
    return Markup("".join(parts))


def table(label, header, rows, mark=None):
    """A table that scrolls within its box where it is wider than the page.

    Args:
        label: What it shows, for those who do not see it.
        header: Strings.
        rows: Lists of strings; the first of each is a name.
        mark: Number of a row to point out, or None.
    """
    head = element("tr", [element("th", text, scope="col") for text in header])
    body = [
        element(
            "tr",
            element("th", row[0], scope="row"),
            [element("td", text) for text in row[1:]],
            class_="marked" if k == mark else None,
        )
        for k, row in enumerate(rows)
    ]
    return element(
        "div",
        element("table", element("thead", head), element("tbody", body)),
        class_="scroll",
        role="region",
        aria_label=label,
        # Keys must be able to scroll it.
        tabindex="0",
    )
