"""Every ```python example of public docstrings and of pages that teach runs."""

import inspect
import os
import pathlib
import re
import textwrap

import pytest

import keras_curvature

ROOT = pathlib.Path(__file__).parents[1]


def public_objects():
    """Every public class, function and method, by its dotted name."""
    seen, found, pending = set(), {}, [("keras_curvature", keras_curvature)]
    while pending:
        path, value = pending.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if inspect.ismodule(value):
            names = value.__all__ if hasattr(value, "__all__") else []
        elif inspect.isclass(value):
            names = [n for n in vars(value) if not n.startswith("_")]
        else:
            names = []
        if inspect.getdoc(value) and not isinstance(value, str):
            found[path] = value
        pending += [
            (f"{path}.{name}", getattr(value, name))
            for name in names
            if callable(getattr(value, name))
            or inspect.ismodule(getattr(value, name))
        ]
    return found


def python_blocks(text):
    blocks = re.findall(r"^( *)```python\n(.*?)^ *```", text, re.M | re.S)
    return [textwrap.dedent(block) for _, block in blocks]


OBJECTS = public_objects()
EXAMPLES = {
    f"{path}, {index}": block
    for path, value in sorted(OBJECTS.items())
    for index, block in enumerate(python_blocks(inspect.getdoc(value)))
}
# As a reader pastes them: one after the other, into one session.
PAGES = ["README.md", "docs/index.md"]
PAGES += sorted(
    path.relative_to(ROOT).as_posix()
    for path in ROOT.glob("docs/tutorials/*.md")
)
for page in PAGES:
    text = (ROOT / page).read_text("utf-8")
    EXAMPLES[page] = "\n".join(python_blocks(text))
# Each is a file of its own.
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
for index, block in enumerate(python_blocks(CONTRIBUTING)):
    EXAMPLES[f"CONTRIBUTING.md, {index}"] = block


@pytest.mark.parametrize("example", EXAMPLES)
def test_example_runs_as_pasted(example, tmp_path):
    before = os.getcwd()
    os.chdir(tmp_path)
    try:
        exec(compile(EXAMPLES[example], example, "exec"), {})
    finally:
        os.chdir(before)


@pytest.mark.parametrize(
    "path",
    [
        path
        for path, value in OBJECTS.items()
        if (inspect.isclass(value) or inspect.isfunction(value))
        and path.count(".") == 2
    ],
)
def test_public_class_or_function_shows_an_example(path):
    assert python_blocks(inspect.getdoc(OBJECTS[path])), path
