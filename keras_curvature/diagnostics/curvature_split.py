"""How much of the curvature comes from the activations."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras

from keras_curvature._checks import checked_integer
from keras_curvature._typing import Array, Data
from keras_curvature.diagnostics._split_estimates import (
    PARTS,
    Part,
    estimate_parts,
    sum_of,
)
from keras_curvature.diagnostics._table import table
from keras_curvature.diagnostics.curvature_parts import (
    notes_of,
    three_operators,
)
from keras_curvature.linalg.trace import TraceEstimate


@dataclasses.dataclass(frozen=True)
class LayerSplit:
    """The parts of one diagonal block of the Hessian, or of all of it.

    `traces` and `norms` are dicts with the keys `"hessian"`,
    `"gauss_newton"`, `"activations"` and `"rest"`.

    Attributes:
        name: Path of the layer, or `"all"`.
        size: Int, the number of its weights.
        traces: Dict of `linalg.TraceEstimate`s. Those of the parts add up to
            that of the Hessian.
        norms: Dict of `linalg.TraceEstimate`s of Frobenius norms.

    Example:

    ```python
    import keras
    import numpy as np
    from keras_curvature.diagnostics import curvature_split

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    x = np.ones((5, 2))
    split = curvature_split(model, x, x[:, :1], loss="mse")
    split.total.trace_share("gauss_newton")  # 1, as for all linear models
    ```
    """

    name: str
    size: int
    traces: dict[str, TraceEstimate]
    norms: dict[str, TraceEstimate]

    def trace_share(self, part: Part) -> float | None:
        """tr(part) / tr(H), a float; None where tr(H) is 0.

        The shares add up to 1. One below 0 takes curvature away.

        Args:
            part: `"gauss_newton"`, `"activations"` or `"rest"`.
        """
        whole = self.traces["hessian"].value
        return self.traces[part].value / whole if whole else None

    def norm_share(self, part: Part) -> float | None:
        """‖part‖ / ‖H‖, a float; None where H is 0.

        Parts may cancel, so that shares may exceed 1.

        Args:
            part: `"gauss_newton"`, `"activations"` or `"rest"`.
        """
        whole = self.norms["hessian"].value
        return self.norms[part].value / whole if whole else None


@dataclasses.dataclass(frozen=True)
class CurvatureSplit:
    """The parts of the Hessian, by layer: see `curvature_split`.

    Attributes:
        layers: List of `LayerSplit`s, one for the diagonal block of each
            layer.
        total: `LayerSplit` of the whole matrix.
        notes: List of sentences on activations that count as `"rest"`.

    Example:

    ```python
    import keras
    import numpy as np
    from keras_curvature.diagnostics import curvature_split

    model = keras.Sequential(
        [
            keras.Input((2,)),
            keras.layers.Dense(3, "tanh"),
            keras.layers.Dense(1),
        ]
    )
    x = np.random.default_rng(0).normal(size=(20, 2))
    split = curvature_split(model, x, x[:, :1], loss="mse")
    split.layers[0].norm_share("activations")
    ```
    """

    layers: list[LayerSplit]
    total: LayerSplit
    notes: list[str]

    def __str__(self) -> str:
        names = ("JᵀH_L·J", "f″", "rest")
        header = (
            *("layer", "weights", "tr H", "±"),
            *(f"{name} of trace" for name in names),
            *(f"{name} of norm" for name in names),
        )
        rows = [
            (
                row.name,
                str(row.size),
                f"{row.traces['hessian'].value:.4g}",
                f"{row.traces['hessian'].standard_error:.1g}",
                *(_percent(row.trace_share(part)) for part in PARTS[1:]),
                *(_percent(row.norm_share(part)) for part in PARTS[1:]),
            )
            for row in (*self.layers, self.total)
        ]
        lines = [table(header, rows)]
        return "\n".join(lines + [f"Note: {note}" for note in self.notes])


def curvature_split(
    model: keras.Model,
    x: Data,
    y: Data | None = None,
    sample_weight: Array | None = None,
    *,
    probes: int = 100,
    seed: int = 0,
    **options: Any,
) -> CurvatureSplit:
    """Trace and Frobenius norm of the parts of the Hessian, by layer.

        H = JᵀH_L·J + A + R

    A is what the second derivatives f″ of the activations add to the
    Gauss–Newton matrix, R what remains: see `curvature_parts`. Within the
    diagonal block of a layer that is used once, R holds regularizers and what
    bends without being an elementwise activation; without these it is 0.

    All numbers of a block come from the same `probes` random vectors z of ±1,
    so that the traces of the parts add up to that of the Hessian:

        tr A = E zᵀAz,  ‖A‖² = E ‖Az‖²

    The trace of the whole is the sum of those of the blocks. A block of at
    most `probes` weights is computed exactly.

    Args:
        model, x, y, sample_weight: As for `operators.Hessian`.
        probes: Int ≥ 2, random vectors for each block. Each takes three
            products: with H, with H where f″ = 0, and with JᵀH_L·J. Defaults
            to 100.
        seed: Int ≥ 0 of the random vectors. Defaults to 0.
        **options: As for `operators.Hessian`: `loss`, `loss_weights`,
            `layers`, `training`, `batch_size`, `jit_compile`, `verbose`.

    Returns:
        `CurvatureSplit`, which prints as a table.

    Raises:
        ValueError: as `operators.Hessian` and `operators.GaussNewton`.

    Example:

    ```python
    import keras
    import numpy as np
    from keras_curvature.diagnostics import curvature_split

    model = keras.Sequential(
        [
            keras.Input((2,)),
            keras.layers.Dense(3, "tanh"),
            keras.layers.Dense(1),
        ]
    )
    x = np.random.default_rng(0).normal(size=(20, 2))
    print(curvature_split(model, x, x[:, :1], loss="mse"))
    ```

    References:
        Hutchinson, 1990, "A stochastic estimator of the trace of the
        influence matrix".
    """
    checked_integer("probes", probes, minimum=2)
    checked_integer("seed", seed, minimum=0)
    operators = three_operators(model, x, y, sample_weight, **options)
    hessian, without, _ = operators
    layers = [
        # Other vectors for each, so that their errors are independent.
        LayerSplit(
            path, *estimate_parts(operators, indices, probes, (seed, number))
        )
        for number, (path, indices) in enumerate(
            _layers_of(hessian.variables).items(), start=1
        )
    ]
    everything = range(len(hessian.variables))
    size, _, norms = estimate_parts(operators, everything, probes, (seed, 0))
    traces: dict[str, TraceEstimate] = {
        part: sum_of([layer.traces[part] for layer in layers]) for part in PARTS
    }
    total = LayerSplit("all", size, traces, norms)
    return CurvatureSplit(layers, total, notes_of(without))


def _layers_of(variables):
    """The indices of the variables of each layer, by its path."""
    layers = {}
    for k, variable in enumerate(variables):
        path = variable.path.rpartition("/")[0] or variable.path
        layers.setdefault(path, []).append(k)
    return layers


def _percent(share):
    # Adding 0 makes 0 of -0.
    return "-" if share is None else f"{round(100 * share, 1) + 0:.1f}%"
