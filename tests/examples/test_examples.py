"""The examples run from the command line and leave what they promise."""

import itertools
import math
import re

import pytest

from tests.examples.helpers import check_plot, loaded, run


def check_table_and_plot(printed, plot):
    rows = [line for line in printed.splitlines() if line[:1].isalpha()]
    for name in ("Adam", "SecondOrderGradient(SGD)"):
        assert any(row.startswith(name) for row in rows)
    assert str(plot) in printed
    check_plot(plot)


@pytest.mark.parametrize(
    ("script", "passes"), [("xor.py", 200), ("regression.py", 2)]
)
def test_example_writes_a_table_and_a_plot(script, passes, tmp_path):
    printed = run(
        script, "--seeds=1", f"--passes={passes}", f"--plots={tmp_path}"
    )
    check_table_and_plot(printed, tmp_path / script.replace(".py", ".png"))


def test_digits_exports_a_model_that_predicts_as_the_trained_one(tmp_path):
    folder = tmp_path / "digits"
    printed = run(
        "digits.py",
        "--seeds=1",
        "--passes=2",
        f"--plots={tmp_path}",
        f"--export={folder}",
    )
    check_table_and_plot(printed, tmp_path / "digits.png")
    assert (folder / "saved_model.pb").is_file()
    difference = re.search(r"logits differ by (\S+)", printed)
    assert float(difference[1]) < 1e-5
    assert re.search(
        r"^Winner: \S+, [\d.]+ % in [\d.]+ s, before", printed, re.M
    )


@pytest.mark.parametrize(
    ("minimum", "start"),
    [(1e-4, 0.1), (30.0, 0.1), (0.1, 0.1), (0.3, 0.3)],
    ids=["below", "above", "start", "start of three"],
)
def test_the_chosen_rate_is_the_best_and_has_worse_neighbors(minimum, start):
    def loss(rate):
        # A training that has gone wild, as it does at large rates.
        return math.nan if rate > 100 else math.log(rate / minimum) ** 2

    best, tried = loaded("_compare").bracketed(loss, start)
    assert best == pytest.approx(minimum)
    assert tried == sorted(tried)
    assert tried[0] < best < tried[-1]
    steps = [b / a for a, b in itertools.pairwise(tried)]
    # From 1 to 3 and from 3 to 10.
    assert min(steps) > 2.99 and max(steps) < 3.34
