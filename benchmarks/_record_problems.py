"""Problems of published records: equations, conditions, truth and records."""

import numpy as np
import tensorflow as tf
from _record_references import (
    DIFFUSION,
    VISCOSITY,
    allen_cahn,
    burgers,
    rounded_kink,
)

from keras_curvature.training import lattice_points, uniform_points


class Problem:
    """An equation in a box, with conditions on its boundary.

    Attributes:
        name: What tables and pictures call it.
        low, high: Corners of the box.
        hidden: Widths of tanh layers.
        inputs: How many the network has.
        sizes: Points of the equation and of the boundary, t = 0 included.
        curved: Axes along which the equation has second derivatives.
        spread: Standard deviation of the first layer's weights at the start,
            0: as Keras has them.
        gain: Scale of the weights of later layers at the start, 0: the same.
        weight: Of the boundary's residuals beside those of the equation.
        scaling: Of `LevenbergMarquardt`.
        resample_period: Steps after which points are drawn anew, or 0: never.
        growing: In how many draws the points spread from t = 0 to all t.
        on_lattice: Whether its points are a lattice, not independent.
        by_residual: Whether more of them are where the residual is large.
        forms: How the conditions are met; other than `"soft"`: by construction.
        published: Pairs of (seconds, relative L2 error).
        publisher: How and on what those were run.
    """

    low, high = (0, 0), (1, 1)
    hidden, inputs = (64,), 2
    sizes = (900, 120)
    curved = (0, 1)
    spread, gain, weight = 0.0, 0.0, 1.0
    scaling = "auto"
    resample_period, growing = 0, 1
    on_lattice = by_residual = False
    forms = ("soft",)
    publisher = "energy natural gradient, RTX 6000"

    def __init__(self, form=None):
        self.form = form or self.forms[0]
        self.counts = dict(
            zip(("equation", "boundary"), self.sizes, strict=False)
        )
        if self.form != "soft":
            self.counts.pop("boundary", None)

    def solution(self, network, points):
        """u, from what the network gives for its inputs."""
        return network(points)

    def source(self, points):
        return np.zeros((len(points), 1))

    def truth(self):
        """Points and u there, which the error is measured by."""
        points = self.uniform(20_000, np.random.default_rng(12345))
        return points, self.exact(points)

    def box(self):
        return self.low, self.high

    def uniform(self, count, rng):
        return uniform_points(count, *self.box(), rng)

    def draw(self, count, rng):
        """Points of the equation."""
        points = lattice_points if self.on_lattice else uniform_points
        return points(count, *self.box(), rng)

    def boundary(self, count, rng):
        """Points of the boundary, and u there."""
        points = self.on_boundary(self.uniform(count, rng), rng)
        return points, self.exact(points)


class Poisson(Problem):
    """−Δu = source, with u given on the faces of the cube."""

    def equation(self, points, u, first, second):
        return -sum(second.values())

    def on_boundary(self, points, rng):
        count, dimensions = points.shape
        faces = rng.integers(0, dimensions, count)
        points[np.arange(count), faces] = rng.integers(0, 2, count)
        return points


class Poisson2D(Poisson):
    name = "Poisson, 2-D"
    published = ((94, 1e-6), (468, 6.1e-8))

    def exact(self, points):
        return np.prod(np.sin(np.pi * points), axis=1, keepdims=True)

    def source(self, points):
        return 2 * np.pi**2 * self.exact(points)


class Poisson5D(Poisson):
    name = "Poisson, 5-D"
    low, high, inputs, curved = (0,) * 5, (1,) * 5, 5, range(5)
    sizes = (3000, 500)
    spread, weight, resample_period = 2.0, 100.0, 5
    published = ((80, 1e-6), (3000, 5.6e-8))

    def exact(self, points):
        return np.sum(np.cos(np.pi * points), axis=1, keepdims=True)

    def source(self, points):
        return np.pi**2 * self.exact(points)


class DeepPoisson5D(Poisson5D):
    """The same by 10,065 weights, with fewer points than these.

    Its later layers begin nearly linear: as a network of the first layer alone,
    whose last one is made of all others. Blended scales are long in leaving
    that, and without shares its three largest kernels take nearly all of each
    step to themselves.
    """

    name = "Poisson, 5-D, 10,065 weights"
    hidden, sizes = (64, 64, 48, 48), (1200, 300)
    gain, scaling = 1e-4, "shared"
    published = ((7000, 2.6e-7),)
    publisher = "SPRING, GPU"


class Heat(Problem):
    """u_t = u_xx/4, u = 0 at both ends."""

    name = "Heat"
    curved = (0,)
    published = ((1000, 2.0e-8),)

    def equation(self, points, u, first, second):
        return first[1] - second[0] / 4

    def exact(self, points):
        x, t = points[:, :1], points[:, 1:]
        return np.exp(-(np.pi**2) * t / 4) * np.sin(np.pi * x)

    def on_boundary(self, points, rng):
        """A third on each end, a third at t = 0."""
        thirds = np.array_split(points, 3)
        thirds[0][:, 0], thirds[1][:, 0], thirds[2][:, 1] = 0, 1, 0
        return points


class Burgers(Heat):
    """u_t + u·u_x = 0.01/π·u_xx from −sin πx, u = 0 at x = ±1.

    `"odd"` and `"hard"` meet the conditions by u = −sin πx + t(1−x²)·N, the
    first with N odd in x as u is, and points of x > 0 alone. `"periodic"` is
    set up as the public code of arXiv:2405.04230 has it: u = −sin πx + t·N with
    N given cos πx and sin πx, so that u is 0 at x = ±1 by the equation alone;
    independent points.
    """

    name = "Burgers, ν = 0.01/π"
    low, high = (-1, 0), (1, 1)
    hidden = (20, 20, 20)
    sizes = (3000, 300)
    resample_period, on_lattice, by_residual = 50, True, True
    forms = ("odd", "hard", "periodic", "soft")
    published = ((179, 4.0e-5), (2878, 1.6e-8))
    publisher = "SSBroyden, GPU"

    def __init__(self, form=None):
        super().__init__(form)
        if self.form == "periodic":
            self.inputs, self.counts["equation"] = 3, 10_000
            self.resample_period, self.on_lattice = 500, False

    def solution(self, network, points):
        if self.form == "soft":
            return network(points)
        x, t = points[:, :1], points[:, 1:]
        if self.form == "periodic":
            angle = np.pi * x
            waves = tf.concat([t, tf.cos(angle), tf.sin(angle)], axis=1)
            return -tf.sin(angle) + t * network(waves)
        values = network(points)
        if self.form == "odd":
            values -= network(tf.concat([-x, t], axis=1))
        return -tf.sin(np.pi * x) + t * (1 - x**2) * values

    def equation(self, points, u, first, second):
        return first[1] + u * first[0] - VISCOSITY * second[0]

    def box(self):
        return (0, 0) if self.form == "odd" else self.low, self.high

    def on_boundary(self, points, rng):
        thirds = np.array_split(points, 3)
        thirds[0][:, 0], thirds[1][:, 0], thirds[2][:, 1] = -1, 1, 0
        return points

    def exact(self, points):
        return burgers(points)


class AllenCahn(Problem):
    """u_t = 1e-4·u_xx + 5·(u − u³) from x²·cos πx, with period 2 in x.

    The network is given cos πx and sin πx, that of `"even"`, whose u is even in
    x as the solution is, cos πx alone, and points of x > 0. Both it and
    `"hard"` meet the condition at t = 0 besides, by
    u = e^(−10t)·(1 + x²·cos πx + k) − 1 + t·N, where k(x, t) is how diffusion
    rounds the kink at x = ±1 off: without it no smooth N could. The one run
    with points at all t from the start, which were drawn anew less often as
    well, stayed on a plateau.
    """

    name = "Allen–Cahn"
    low, high, inputs = (-1, 0), (1, 1), 3
    hidden, curved = (20, 20, 20), (0,)
    sizes = (2000, 300)
    resample_period, growing = 15, 10
    on_lattice = by_residual = True
    forms = ("even", "hard", "soft")
    published = ((None, 9.4e-7),)
    publisher = "SSBroyden, GPU"

    def __init__(self, form=None):
        super().__init__(form)
        if self.form == "even":
            self.inputs = 2

    def box(self):
        return (0, 0) if self.form == "even" else self.low, self.high

    def solution(self, network, points):
        x, t = points[:, :1], points[:, 1:]
        angle = np.pi * x
        waves = [tf.cos(angle), tf.sin(angle)][: self.inputs - 1]
        values = network(tf.concat([*waves, t], axis=1))
        if self.form == "soft":
            return values
        bump = 1 + x**2 * tf.cos(angle) + rounded_kink(1 - tf.abs(x), t)
        return tf.exp(-10 * t) * bump - 1 + t * values

    def equation(self, points, u, first, second):
        return first[1] - DIFFUSION * second[0] - 5 * (u - u**3)

    def boundary(self, count, rng):
        points = self.uniform(count, rng) * (1, 0)
        x = points[:, :1]
        return points, x**2 * np.cos(np.pi * x)

    def truth(self):
        t, x = np.linspace(0, 1, 51), np.linspace(-1, 1, 513)
        u = allen_cahn()
        t, x = np.meshgrid(t, x, indexing="ij")
        # Both ends are one place.
        u = np.concatenate([u[:, :0:-1], u], axis=1)
        points = np.stack([x, t], axis=-1)[:, :-1]
        return points.reshape(-1, 2), u[:, :-1].reshape(-1, 1)


class Helmholtz(Problem):
    """Δu + u = source, u = sin πx·sin 4πy, with period 2 in x and y.

    The network is given cosines and sines of πx and πy, so that the equation
    is the one condition.
    """

    name = "Helmholtz, a = (1, 4), k = 1"
    low, high, inputs = (-1, -1), (1, 1), 4
    hidden = (20, 20, 20)
    forms, on_lattice = ("periodic",), True
    sizes = (1597,)
    published = ((319, 3.6e-9), (540, 2.0e-9))
    publisher = "SPRING, GPU"

    def solution(self, network, points):
        angles = np.pi * points
        return network(tf.concat([tf.cos(angles), tf.sin(angles)], axis=1))

    def equation(self, points, u, first, second):
        return second[0] + second[1] + u

    def exact(self, points):
        return np.prod(np.sin(np.pi * points * (1, 4)), axis=1, keepdims=True)

    def source(self, points):
        return (1 - 17 * np.pi**2) * self.exact(points)


PROBLEMS = {
    "poisson-2d": Poisson2D,
    "poisson-5d": Poisson5D,
    "poisson-5d-deep": DeepPoisson5D,
    "heat": Heat,
    "burgers": Burgers,
    "allen-cahn": AllenCahn,
    "helmholtz": Helmholtz,
}
