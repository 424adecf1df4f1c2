"""The examples run from the command line and leave what they promise."""

import pathlib
import re
import subprocess
import sys

import pytest
from matplotlib import image

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"


def run(script, *options):
    """What the script prints, run with a tiny budget."""
    command = [sys.executable, EXAMPLES / script, "--seeds=1", *options]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout


def check_table_and_plot(printed, plot):
    rows = [line for line in printed.splitlines() if line[:1].isalpha()]
    for name in ("Adam", "SecondOrderGradient(SGD)"):
        assert any(row.startswith(name) for row in rows)
    assert str(plot) in printed
    pixels = image.imread(plot)
    assert min(pixels.shape[:2]) > 400
    assert pixels.std() > 0.05


@pytest.mark.parametrize(
    ("script", "passes"), [("xor.py", 80), ("regression.py", 2)]
)
def test_example_writes_a_table_and_a_plot(script, passes, tmp_path):
    printed = run(script, f"--passes={passes}", f"--plots={tmp_path}")
    check_table_and_plot(printed, tmp_path / script.replace(".py", ".png"))


def test_digits_exports_a_model_that_predicts_as_the_trained_one(tmp_path):
    folder = tmp_path / "digits"
    printed = run(
        "digits.py", "--passes=2", f"--plots={tmp_path}", f"--export={folder}"
    )
    check_table_and_plot(printed, tmp_path / "digits.png")
    assert (folder / "saved_model.pb").is_file()
    difference = re.search(r"logits differ by (\S+)", printed)
    assert float(difference[1]) < 1e-5
