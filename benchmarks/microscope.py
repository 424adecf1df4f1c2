"""What do eigenvalues, trace and density of a Hessian take, beside peers?

Of the MLP 784-512-512-10 on random data in float32: the five eigenvalues of
largest magnitude, the trace from 100 probes, and the density from 10 runs of
100 steps. Each contestant has a process of its own, with the same weights,
data, batch and number of threads; they are asked in turn. A table: the median
of the seconds, the median of the ratios to ours with the smallest and largest,
and the error:

eigenvalues  the largest relative difference to ours in float64, whose residuals
             are below 1e-8 of the largest eigenvalue
trace        the relative difference to ours in float64 by XTrace, whose own
             standard error is printed
density      of the node of largest magnitude, to that eigenvalue

With --peer-python, an interpreter that has torch and curvlinops or PyHessian
times them; what is not there is said. --quick looks whether all of it works.
"""

import argparse
import itertools
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

import numpy as np

HERE = pathlib.Path(__file__).parent
TASKS = ("eigenvalues", "trace", "density")
PEERS = ("curvlinops", "pyhessian")
# What a child is told.
SETTINGS = (
    "threads",
    "probes",
    "runs",
    "steps",
    "batch_size",
    "power_iterations",
    "tolerance",
)


def write_problem(path, options):
    """Weights as Glorot draws them, data and labels without structure."""
    random = np.random.default_rng(0)
    sizes = [784, options.width, options.width, 10]
    arrays = {
        f"kernel{k}": random.normal(size=(a, b)) * (2 / (a + b)) ** 0.5
        for k, (a, b) in enumerate(itertools.pairwise(sizes))
    }
    arrays["x"] = random.normal(size=(options.samples, 784))
    np.savez(path, y=random.integers(0, 10, options.samples), **arrays)


class Contestant:
    """A child process that answers a task with seconds and a result."""

    def __init__(self, python, script, name, path, options):
        self.name = name
        settings = {key: getattr(options, key) for key in SETTINGS}
        self._child = subprocess.Popen(
            [python, str(HERE / script), name, path, json.dumps(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": str(options.threads)},
        )

    def __call__(self, task):
        """The answer, a dict with `error` where there is none."""
        try:
            self._child.stdin.write(f"{task}\n")
            self._child.stdin.flush()
            line = self._child.stdout.readline()
        except BrokenPipeError:
            line = ""
        return json.loads(line) if line else {"error": "it does not run"}

    def close(self):
        self._child.stdin.close()
        self._child.wait()


def reference(path, options):
    """Eigenvalues and trace in float64, kept in a file where one is named."""
    kept = options.reference and pathlib.Path(options.reference)
    key = {k: getattr(options, k) for k in ("samples", "width", "probes")}
    if kept and kept.exists():
        known = json.loads(kept.read_text())
        if known.pop("problem") == key:
            return {task: np.array(values) for task, values in known.items()}
    ours = Contestant(
        sys.executable, "_microscope_ours.py", "float64", path, options
    )
    answers = {task: ours(task) for task in TASKS[:2]}
    ours.close()
    for task, answer in answers.items():
        if "error" in answer:
            sys.exit(f"reference {task}: {answer['error']}")
    print(
        f"float64: eigenvalues {answers['eigenvalues']['result']}, trace "
        f"{answers['trace']['result'][0]:.6g} ± "
        f"{answers['trace']['standard_error']:.2g}",
        flush=True,
    )
    exact = {task: a["result"] for task, a in answers.items()}
    if kept:
        kept.write_text(json.dumps({"problem": key, **exact}))
    return {task: np.array(values) for task, values in exact.items()}


def error_of(task, result, exact):
    """The relative error of a result, None where it has no such number."""
    if result is None:
        return None
    if task == "eigenvalues":
        found = sorted(result, key=abs, reverse=True)
        return np.max(np.abs(found / exact["eigenvalues"] - 1))
    expected = exact["trace" if task == "trace" else "eigenvalues"][0]
    return abs(result[0] / expected - 1)


def measure(contestants, options):
    """A dict from task and name to a list of answers, taken in turn."""
    answers = {}
    for task in options.tasks:
        asked = list(contestants)
        for contestant in contestants:
            # Once to trace or to warm up.
            if options.warm_up:
                first = contestant(task)
                if "error" in first:
                    print(f"{contestant.name} {task}: {first['error']}")
                    asked.remove(contestant)
        for _ in range(options.repeats):
            for contestant in list(asked):
                answer = contestant(task)
                if "error" in answer:
                    print(f"{contestant.name} {task}: {answer['error']}")
                    asked.remove(contestant)
                    continue
                # Several minutes may lie between two of these lines.
                print(
                    f"{contestant.name} {task}: {answer['seconds']:.1f} s",
                    flush=True,
                )
                key = (task, contestant.name)
                answers.setdefault(key, []).append(answer)
    return answers


def report(answers, exact):
    print(
        f"\n{'task':12} {'who':11} {'seconds':>9} {'ratio':>7} "
        f"{'lowest':>7} {'highest':>7} {'error':>9}"
    )
    for (task, name), theirs in answers.items():
        seconds = [a["seconds"] for a in theirs]
        ours = [a["seconds"] for a in answers.get((task, "ours"), theirs)]
        ratios = [t / o for t, o in zip(seconds, ours, strict=True)]
        errors = [error_of(task, a["result"], exact) for a in theirs]
        error = "" if errors[0] is None else f"{statistics.median(errors):.1e}"
        print(
            f"{task:12} {name:11} {statistics.median(seconds):9.3f} "
            f"{statistics.median(ratios):7.2f} {min(ratios):7.2f} "
            f"{max(ratios):7.2f} {error:>9}"
        )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--peer-python", help="interpreter with torch")
    parser.add_argument("--tasks", nargs="+", default=TASKS, choices=TASKS)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--no-warm-up",
        dest="warm_up",
        action="store_false",
        help="count the first run, with its traces, as well",
    )
    parser.add_argument(
        "--reference", help="a JSON file to keep the float64 results in"
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--samples", type=int, default=2048)
    parser.add_argument("--batch-size", type=int, default=2048)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--probes", type=int, default=100)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument(
        "--tolerance", type=float, default=1e-4, help="of peers' eigenvalues"
    )
    parser.add_argument(
        "--power-iterations",
        type=int,
        default=300,
        help="most that PyHessian takes for an eigenvalue",
    )
    parser.add_argument("--quick", action="store_true", help="a small problem")
    options = parser.parse_args()
    if options.quick:
        options.samples, options.width, options.repeats = 128, 16, 2
        options.probes, options.runs, options.steps = 20, 2, 20
        options.power_iterations = 20
    with tempfile.TemporaryDirectory() as folder:
        path = str(pathlib.Path(folder) / "problem.npz")
        write_problem(path, options)
        exact = reference(path, options)
        contestants = [
            Contestant(
                sys.executable, "_microscope_ours.py", "ours", path, options
            )
        ]
        if options.peer_python is None:
            print("Peers are not measured: no --peer-python.")
        else:
            contestants += [
                Contestant(
                    options.peer_python, "_microscope_peer.py", p, path, options
                )
                for p in PEERS
            ]
        answers = measure(contestants, options)
        for contestant in contestants:
            contestant.close()
    report(answers, exact)


if __name__ == "__main__":
    main()
