"""The examples that look at curvature run and leave what they promise."""

import re

from tests.examples.helpers import check_plot, run


def test_hessian_spectrum_prints_tables_and_plots(tmp_path):
    printed = run(
        "hessian_spectrum.py",
        "--passes=1",
        "--units=2",
        "--samples=50",
        "--eigenvalues=4",
        "--steps=5",
        "--probes=5",
        f"--plots={tmp_path}",
    )
    plot = tmp_path / "hessian_spectrum.png"
    assert str(plot) in printed
    check_plot(plot)
    ranks = re.findall(r"^(\d) +(\S+) +\S+$", printed, re.M)
    values = [float(value) for _, value in ranks]
    assert len(values) == 4 and values == sorted(values, reverse=True)
    for name in ("digits/first", "digits/second", "digits/logits", "all"):
        assert re.search(rf"^{name} +\d+ ", printed, re.M)
    assert re.search(r"^second +sigmoid ", printed, re.M)


def test_sharpness_stands_beside_the_limit(tmp_path):
    printed = run(
        "sharpness.py",
        "--steps=4",
        "--every=2",
        "--units=3",
        f"--plots={tmp_path}",
    )
    plot = tmp_path / "sharpness.png"
    assert str(plot) in printed
    check_plot(plot)
    for name, limit in (
        ("gradient descent, 0.1", "20.0"),
        ("gradient descent, 0.2", "10.0"),
        ("SecondOrderGradient, 0.1", "20.0"),
    ):
        assert re.search(rf"^{name} +{limit} ", printed, re.M)
