"""Makes notebooks of tutorials, beside their pages, and runs them.

A notebook has the text and the `python` blocks of its page and nothing of its
own, so the page is where to change it. Outputs are kept: GitHub shows them,
pictures included. Run by `make notebooks`; `--check` only says what is behind.
"""

import argparse
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys

FOLDER = pathlib.Path(__file__).parent
TUTORIALS = ("first-fit", "pinn", "spectrum")
BLOCK = re.compile(r"^```python\n(.*?)^```\n", re.M | re.S)
# Where a page points to its notebook.
POINTER = re.compile(r"^This page is a \[notebook\]\(.*\) as well\.\n\n", re.M)
# Messages of TensorFlow's C++ about the machine, not of the program.
MACHINE = re.compile(r"^([IWE]\d{4} |WARNING: All log messages before)")


def cells_of(page):
    """Pairs of "markdown" or "code" and a source, from the text of a page."""
    cells, end = [], 0
    text = POINTER.sub("", page)
    for block in BLOCK.finditer(text):
        cells.append(("markdown", text[end : block.start()]))
        cells.append(("code", block[1]))
        end = block.end()
    cells.append(("markdown", text[end:]))
    return [(kind, source.strip("\n")) for kind, source in cells if source]


def digest(cells):
    """What the code was when the outputs were made."""
    code = [source for kind, source in cells if kind == "code"]
    return hashlib.sha256(json.dumps(code).encode()).hexdigest()


def made_from(name):
    """The notebook of a page, without outputs."""
    import nbformat

    cells = cells_of((FOLDER / f"{name}.md").read_text("utf-8"))
    new = {
        "code": nbformat.v4.new_code_cell,
        "markdown": nbformat.v4.new_markdown_cell,
    }
    return nbformat.v4.new_notebook(
        cells=[
            # Numbers, so that the same page gives the same file.
            new[kind](source, id=str(number))
            for number, (kind, source) in enumerate(cells)
        ],
        metadata={"keras_curvature": {"page": f"{name}.md"}},
    )


def run(notebook):
    """Executes all cells, and keeps what a reader should see of it."""
    import nbclient

    client = nbclient.NotebookClient(
        notebook, timeout=600, kernel_name="python3", record_timing=False
    )
    # The kernel shows what it captures on the terminal too.
    client.execute(cwd=FOLDER, stderr=subprocess.DEVNULL)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [o for o in cell.outputs if not is_noise(o)]
    # The version of Python that happened to run it is no part of it.
    notebook.metadata.pop("language_info", None)


def is_noise(output):
    """Whether an output is of the machine; a warning is an error here."""
    if output.output_type != "stream" or output.name != "stderr":
        return False
    rest = [
        line
        for line in output.text.splitlines()
        if line.strip() and not MACHINE.match(line)
    ]
    if rest:
        raise RuntimeError("A tutorial warns:\n" + "\n".join(rest))
    return True


def is_behind(name):
    """Whether a notebook has other cells than its page, or older outputs."""
    path = FOLDER / f"{name}.ipynb"
    if not path.is_file():
        return True
    cells = cells_of((FOLDER / f"{name}.md").read_text("utf-8"))
    notebook = json.loads(path.read_text("utf-8"))
    found = [
        (cell["cell_type"], "".join(cell["source"]))
        for cell in notebook["cells"]
    ]
    ran_with = notebook["metadata"]["keras_curvature"].get("ran")
    return found != cells or ran_with != digest(cells)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--check", action="store_true", help="list what is behind its page"
    )
    if parser.parse_args().check:
        behind = [name for name in TUTORIALS if is_behind(name)]
        for name in behind:
            print(f"{name}.ipynb is behind its page: make notebooks")
        return bool(behind)

    import nbformat

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    for name in TUTORIALS:
        notebook = made_from(name)
        run(notebook)
        notebook.metadata["keras_curvature"]["ran"] = digest(
            [(cell.cell_type, cell.source) for cell in notebook.cells]
        )
        nbformat.validate(notebook)
        path = FOLDER / f"{name}.ipynb"
        nbformat.write(notebook, path)
        print(f"{os.path.relpath(path)}: {path.stat().st_size / 1e3:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
