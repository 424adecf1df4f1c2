"""Runs the demo where there is no repository, from the installed examples."""

import importlib.util
import pathlib
import runpy
import sys

NEEDED = ("matplotlib", "scipy", "sklearn")


def folder():
    """Of the examples: installed in the package, or beside it."""
    here = pathlib.Path(__file__).parent
    for examples in (here / "examples", here.parent / "examples"):
        if (examples / "demo.py").is_file():
            return examples
    raise FileNotFoundError(
        "The examples must be installed with the package, or lie beside it. "
        f"Received: no demo.py in {here / 'examples'} and "
        f"{here.parent / 'examples'}. Install keras_curvature anew."
    )


def demo(arguments=()):
    """Runs `examples/demo.py`, as `make demo` does.

    Args:
        arguments: List of strings, its command line; `["--help"]` shows it.
            Plots and the exported model are written below the folder in which
            Python runs.
    """
    missing = [name for name in NEEDED if not importlib.util.find_spec(name)]
    if missing:
        raise ModuleNotFoundError(
            f"The demo needs {', '.join(NEEDED)}. Missing: "
            f"{', '.join(missing)}. Install them with "
            "pip install keras-curvature[examples]."
        )
    script = folder() / "demo.py"
    before = sys.argv, sys.path[:]
    sys.argv = [str(script), *arguments]
    # The examples import each other, as scripts do.
    sys.path.insert(0, str(script.parent))
    try:
        runpy.run_path(str(script), run_name="__main__")
    finally:
        sys.argv, sys.path[:] = before
