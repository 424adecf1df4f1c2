"""The page: whole, self-contained, safe, and legible."""

import re

import numpy as np
import pytest

from keras_curvature.report._style import STYLE
from tests.report.helpers import HOSTILE, Page, made_up_report, pairs

PAGES = {
    "plain": made_up_report(),
    "hostile names": made_up_report(HOSTILE, HOSTILE, loss_name=HOSTILE),
    "nothing but eigenvalues": made_up_report(
        optimizer=None,
        learning_rate=None,
        density=None,
        split=None,
        activations=None,
        landscape=None,
        reliability=None,
        accuracy=None,
        missing=dict.fromkeys(
            ("density", "split", "activations", "landscape", "reliability"),
            f"reason {HOSTILE}",
        ),
        notes=[HOSTILE],
    ),
    "one weight": made_up_report(
        weights=1, largest=pairs([2.0]), smallest=pairs([2.0])
    ),
}


@pytest.fixture(scope="module")
def pages():
    return {
        name: report.to_html([("Model", f"{HOSTILE}.keras")])
        for name, report in PAGES.items()
    }


@pytest.mark.parametrize("name", PAGES)
def test_markup_is_whole(pages, name):
    page = Page(pages[name])
    assert pages[name].startswith('<!DOCTYPE html>\n<html lang="en">')
    assert page.faults == []
    ids = [found["id"] for _, found in page.elements if "id" in found]
    assert len(ids) == len(set(ids)) > 5
    for _, found in page.elements:
        for reference in found.get("aria-labelledby", "").split():
            assert reference in ids
        for reference in re.findall(r"url\(#([^)]*)\)", str(found)):
            assert reference in ids
        if found.get("href", "").startswith("#"):
            assert found["href"][1:] in ids


@pytest.mark.parametrize("name", PAGES)
def test_nothing_is_loaded_sent_or_run(pages, name):
    page = Page(pages[name])
    names = {kind for kind, _ in page.elements}
    forbidden = {"script", "iframe", "object", "embed", "img", "form", "base"}
    assert not names & forbidden
    for kind, found in page.elements:
        for key, value in found.items():
            assert not key.startswith("on"), (kind, key)
            if key in ("href", "src", "xlink:href", "action"):
                assert value.startswith("#") or value == "data:,"
    assert not re.search(r"(?i)https?:|@import|javascript:", pages[name])
    assert set(re.findall(r"url\((.)", pages[name])) <= {"#"}
    policies = [
        found["content"]
        for found in page.of("meta")
        if found.get("http-equiv") == "Content-Security-Policy"
    ]
    assert len(policies) == 1 and policies[0].startswith("default-src 'none';")


@pytest.mark.parametrize("name", PAGES)
def test_those_who_do_not_see_or_point_can_read_it(pages, name):
    page = Page(pages[name])
    levels = [kind for kind, _ in page.elements if re.fullmatch("h[1-6]", kind)]
    assert levels[0] == "h1" and levels.count("h1") == 1
    assert set(levels[1:]) == {"h2"}
    assert page.of("svg")
    for found in page.of("svg"):
        assert found["role"] == "img"
        assert found["aria-labelledby"].endswith("-title")
    # That of the page, and one for each picture.
    assert len(page.texts["title"]) == 1 + len(page.of("svg"))
    assert all(page.texts["title"])
    for found in page.of("div"):
        if found.get("class") == "scroll":
            assert found["tabindex"] == "0" and found["aria-label"]
    assert all(found["scope"] in ("row", "col") for found in page.of("th"))


def test_names_are_shown_as_they_are(pages):
    page = Page(pages["hostile names"])
    assert page.texts["h1"] == [f"Curvature of {HOSTILE}"]
    assert HOSTILE in page.texts["th"]
    assert f"net/{HOSTILE}" in page.texts["th"]
    # Names are short within pictures, and no formulas.
    assert HOSTILE[:15] + "…" in page.texts["text"]
    assert any(f"{HOSTILE}.keras" == text for text in page.texts["dd"])


def test_numbers_and_findings_are_told():
    report = made_up_report()
    page = Page(report.to_html())
    text = " ".join(page.texts["body"]).replace("\u202f", " ")
    text = text.replace("\u00a0", " ")
    for what in (
        "12 345", "0.2500", "1.000 × 10⁻⁵", "8.000", "123.4", "−0.5000",
        "The sharpness 8.000 is 40 % of 2 / learning rate = 20.00",
        "directions in which the loss bends down",
        "30.0 % comes from the second derivatives",
        "The gradient loses most at “first” (tanh), which passes on 25.0 % of "
        "it; 25.0 % of its values are saturated and 1 of its 8 units dead.",
        "A note of the split.",
        "80.0 % of the samples are classified rightly; confidence and "
        "accuracy differ by 16.0 % on average.",
    ):  # fmt: skip
        assert what in text, what


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"learning_rate": 0.5}, "exceeds 2 / learning rate = 4.000"),
        ({"learning_rate": None}, "bends most with an eigenvalue of 8.000"),
        ({"smallest": pairs([-0.01])}, "no direction bends down much"),
        ({"smallest": pairs([-0.01], 0.02)}, "no direction is seen to bend"),
        ({"optimizer": "Adam"}, "compiled with Adam, whose own limit is"),
        ({"parameters": 99999}, "of 99\u202f999"),
    ],
    ids=["unstable", "no rate", "hardly", "minimum", "adam", "some layers"],
)
def test_a_finding_follows_from_the_numbers(changes, sentence):
    assert sentence in made_up_report(**changes).to_html()


def test_what_is_missing_has_its_reason(pages):
    found = Page(pages["nothing but eigenvalues"]).texts["p"]
    assert found.count(f"Not measured: reason {HOSTILE}") == 5


def test_a_big_model_has_all_layers_in_its_table():
    report = made_up_report()
    layers = [
        type(report.split.layers[0])(f"net/layer{k}", 5, t.traces, t.norms)
        for k, t in enumerate(report.split.layers * 40)
    ]
    split = type(report.split)(layers, report.split.total, [])
    page = Page(made_up_report(split=split).to_html())
    assert [t for t in page.texts["th"] if t.startswith("net/")] == [
        f"net/layer{k}" for k in range(40)
    ]
    assert len([t for t in page.texts["text"] if "layer" in t]) == 20
    assert "The 20 layers with the largest traces." in page.texts["figcaption"]


def luminance(color):
    channels = np.array([int(color[k : k + 2], 16) for k in (1, 3, 5)]) / 255
    linear = np.where(
        channels <= 0.04045,
        channels / 12.92,
        ((channels + 0.055) / 1.055) ** 2.4,
    )
    return linear @ [0.2126, 0.7152, 0.0722]


@pytest.mark.parametrize("place", [0, 1, 2], ids=["light", "dark", "print"])
def test_contrast_is_that_of_wcag(place):
    block = re.findall(r":root \{(.*?)\}", STYLE, re.S)[place]
    colors = dict(re.findall(r"--(\w+): (#\w{6})", block))
    for name, least in {
        "ink": 7, "quiet": 4.5, "blue": 3, "orange": 3, "green": 3, "grey": 3,
    }.items():  # fmt: skip
        for ground in ("paper", "tint"):
            low, high = sorted(map(luminance, (colors[name], colors[ground])))
            assert (high + 0.05) / (low + 0.05) >= least, (name, ground)


def test_a_page_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "page.html"
    path.write_text("before", "utf-8")

    def fail(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", fail)
        with pytest.raises(OSError, match="No space"):
            made_up_report().save(path)
    assert [p.name for p in tmp_path.iterdir()] == ["page.html"]
    assert path.read_text("utf-8") == "before"
    made_up_report().save(path)
    assert [p.name for p in tmp_path.iterdir()] == ["page.html"]
    assert path.read_text("utf-8").endswith("</html>\n")
