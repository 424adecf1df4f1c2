"""The documentation site: pages, links, pictures, and that nothing is left out.

`make docs` builds it strictly; this reads the sources alone.
"""

import importlib
import inspect
import pathlib
import re

import pytest

import keras_curvature

ROOT = pathlib.Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))
LINK = re.compile(r"\[[^]]*\]\(([^)\s]+)\)")


def without_code(text):
    return re.sub(r"^( *)```.*?^ *```", "", text, flags=re.M | re.S)


def anchors(page):
    """What headings of a page are called in links."""
    headings = re.findall(
        r"^#+ (.+)$", without_code(page.read_text("utf-8")), re.M
    )
    return {
        re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", heading)).strip().lower()
        for heading in headings
    }


def navigation():
    text = (ROOT / "mkdocs.yml").read_text("utf-8")
    return re.findall(r"^ +- .*?(\S+\.md)$", text.split("\nnav:")[1], re.M)


def test_navigation_has_every_page_once():
    assert sorted(navigation()) == PAGES


@pytest.mark.parametrize("name", PAGES)
def test_links_and_pictures_of_a_page_resolve(name):
    page = DOCS / name
    for link in LINK.findall(without_code(page.read_text("utf-8"))):
        if re.match(r"https?:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_file(), link
        assert target.is_relative_to(DOCS), f"{link} is not on the site"
        if anchor:
            assert anchor in anchors(target), link


def test_included_files_exist():
    for name in PAGES:
        text = (DOCS / name).read_text("utf-8")
        for included in re.findall(r'^--8<-- "(.+)"$', text, re.M):
            assert (ROOT / included).is_file(), included


def public_rooms():
    return [
        name
        for name in keras_curvature.__all__
        if inspect.ismodule(getattr(keras_curvature, name))
    ]


@pytest.mark.parametrize("room", public_rooms())
def test_reference_has_every_public_name_of_a_room(room):
    page = (DOCS / "reference" / f"{room}.md").read_text("utf-8")
    module = getattr(keras_curvature, room)
    shown = []
    for path in re.findall(r"^::: (\S+)$", page, re.M):
        home, _, name = path.rpartition(".")
        # By the file it stands in: functions are named as their files, which
        # hides them from a reader of `__init__` that does not run it.
        assert getattr(importlib.import_module(home), name) is getattr(
            module, name
        )
        shown.append(name)
    assert sorted(shown) == sorted(module.__all__)


def test_gallery_has_every_example():
    gallery = (DOCS / "gallery.md").read_text("utf-8")
    examples = {
        path.name
        for path in (ROOT / "examples").glob("*.py")
        if not path.name.startswith("_")
    }
    assert examples == set(re.findall(r"^## `(\w+\.py)`", gallery, re.M))


def test_no_file_of_the_site_needs_the_web():
    own = [ROOT / "mkdocs.yml", *(DOCS / "assets").iterdir(), DOCS / "site.css"]
    for path in own:
        assert not re.search(r"https?://", path.read_text("utf-8")), path
