"""What a quasi-Newton direction is to the line search."""


class QuasiNewtonDirection:
    """Four pure functions of a state, for `LineSearchSolver`.

    A direction keeps an approximation H of the inverse Hessian in tensors of
    its own and never sees a loss. It assigns nothing: all it remembers lies in
    the state, a dict, of which it reads and returns its own keys only. Before
    the first update, and after `forget`, all of them are 0 and H is the
    identity, so that the direction is −g to the last bit: by that the solver
    knows that the length of the first step has to be guessed.

    The functions are traced, also for XLA, so shapes are static.

    Attributes:
        has_unit_steps: Bool, whether H is scaled by the last pair, so that
            −H g is mostly a step of the right length. Else the first trial on
            a line is guessed from what the last step gained.
    """

    has_unit_steps = True

    def shapes(self, size, dtype):
        """What it remembers: dict of names to pairs (shape, dtype).

        Args:
            size: Int n, number of weights.
            dtype: String, the dtype of the weights.
        """
        raise NotImplementedError

    def direction(self, state, gradient):
        """−H g, a tensor of shape (n,)."""
        raise NotImplementedError

    def update(self, state, step, change, step_length, old_gradient):
        """What it remembers after a step, as a dict of its keys.

        Args:
            state: The state before.
            step: s = w₊ − w, shape (n,).
            change: y = g₊ − g, shape (n,).
            step_length: Scalar α of the dtype of the weights: up to rounding
                s = −α H g, so that H⁻¹s = −α g.
            old_gradient: g at w, shape (n,).
        """
        raise NotImplementedError

    def forget(self, state):
        """What it remembers after a restart, as a dict of its keys."""
        raise NotImplementedError
