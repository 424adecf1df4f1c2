"""The notebooks of the tutorials are those of the pages of now.

`make notebooks` makes and runs them. That their code runs is tested on the
pages (tests/test_docstrings.py).
"""

import importlib.util
import json
import pathlib
import re

import pytest

FOLDER = pathlib.Path(__file__).parents[1] / "docs" / "tutorials"
NOTEBOOKS = sorted(path.stem for path in FOLDER.glob("*.ipynb"))


@pytest.fixture(scope="module")
def maker():
    path = FOLDER / "make_notebooks.py"
    spec = importlib.util.spec_from_file_location("make_notebooks", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read(name):
    return json.loads((FOLDER / f"{name}.ipynb").read_text("utf-8"))


def test_there_is_a_notebook_for_each_that_the_command_makes(maker):
    assert sorted(maker.TUTORIALS) == NOTEBOOKS
    assert len(NOTEBOOKS) == 3


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_is_not_behind_its_page(name, maker):
    assert not maker.is_behind(name), "make notebooks"
    page = (FOLDER / f"{name}.md").read_text("utf-8")
    assert f"[notebook]({name}.ipynb)" in page


def test_a_changed_page_or_other_outputs_are_noticed(
    maker, tmp_path, monkeypatch
):
    monkeypatch.setattr(maker, "FOLDER", tmp_path)
    page = (FOLDER / "pinn.md").read_text("utf-8")
    notebook = read("pinn")

    def is_behind(page, notebook):
        (tmp_path / "pinn.md").write_text(page, "utf-8")
        (tmp_path / "pinn.ipynb").write_text(json.dumps(notebook), "utf-8")
        return maker.is_behind("pinn")

    assert not is_behind(page, notebook)
    assert is_behind(page.replace("sin πx", "cos πx"), notebook)
    changed = page.replace("max_steps=100", "max_steps=9")
    assert is_behind(changed, notebook)
    # Cells brought up to date, but not run again.
    for cell in notebook["cells"]:
        cell["source"] = [
            line.replace("max_steps=100", "max_steps=9")
            for line in cell["source"]
        ]
    assert is_behind(changed, notebook)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_was_run_from_top_to_bottom_and_shows_a_picture(name):
    code = [c for c in read(name)["cells"] if c["cell_type"] == "code"]
    counts = [cell["execution_count"] for cell in code]
    assert counts == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell["outputs"]]
    assert {o["output_type"] for o in outputs} <= {"stream", "display_data"}
    assert [o for o in outputs if "image/png" in o.get("data", {})]
    assert not [o for o in outputs if o.get("name") == "stderr"]


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_holds_no_path_of_a_machine_and_is_small(name):
    text = (FOLDER / f"{name}.ipynb").read_text("utf-8")
    assert not re.search(r"[\"' ]/(work|home|root|tmp|usr)/", text)
    assert len(text) < 100_000
