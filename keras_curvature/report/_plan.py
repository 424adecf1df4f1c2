"""How much is measured, so that big models stay feasible."""

import dataclasses

# For the vectors that Lanczos keeps.
_BYTES = 2**30


@dataclasses.dataclass(frozen=True)
class Plan:
    """The sizes of all measurements.

    Attributes:
        largest, smallest: Eigenpairs at each end of the spectrum.
        basis: Vectors that Lanczos keeps.
        iterations: Most products of the search at one end.
        probes: Random vectors of the trace.
        steps, runs: Of the spectral density.
        split_probes: Random vectors of each layer, with three products each.
        layers: Layers of the split, for which it is taken, and once for all.
        points: Forward passes of the landscape.
    """

    largest: int
    smallest: int
    basis: int
    iterations: int
    probes: int
    steps: int
    runs: int
    split_probes: int
    layers: int
    points: int = 41

    @property
    def eigenpair_products(self):
        """At most, for both ends of the spectrum."""
        return 2 * self.iterations

    @property
    def split_products(self):
        return 3 * self.split_probes * (self.layers + 1)

    @property
    def products(self):
        """All of them, at most."""
        return (
            self.eigenpair_products
            + self.probes
            + self.steps * self.runs
            + self.split_products
        )


def plan_for(size, bytes_each, layers):
    """The plan for a matrix.

    Args:
        size: Int, rows of the matrix.
        bytes_each: Int, bytes of a number.
        layers: Int, diagonal blocks of its split.
    """
    largest, smallest = min(10, size), min(2, size)
    room = _BYTES // (size * bytes_each)
    return Plan(
        largest=largest,
        smallest=smallest,
        basis=max(largest + 2, min(room, 40)),
        iterations=150,
        probes=min(100, size),
        steps=min(60, size),
        runs=4,
        # The whole costs about the same for few layers and for many.
        split_probes=max(10, min(40, 500 // (layers + 1))),
        layers=layers,
    )
