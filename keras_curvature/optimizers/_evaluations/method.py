"""What chooses the trials of a run."""

from typing import Any

from keras_curvature.optimizers._evaluations.evaluation import Evaluation


class Method:
    """What chooses the trials of a run, by pure functions of its state."""

    def judge(
        self, state: dict[str, Any], evaluation: Evaluation
    ) -> dict[str, Any]:
        """After a trial: the state with the next one, or with its end.

        That is an accepted step (`accept`) or the phase `VERIFY`, where no
        trial is better. Computed after any evaluation, and kept after a trial.
        """
        raise NotImplementedError

    def learn(
        self, before: dict[str, Any], after: dict[str, Any]
    ) -> dict[str, Any]:
        """What the method keeps of an accepted step, as a dict of its keys.

        Args:
            before: The state with the point, gradient and loss of before.
            after: The state with those of the accepted step.
        """
        return {}

    def choose(
        self, state: dict[str, Any], evaluation: Evaluation
    ) -> dict[str, Any]:
        """At an accepted point: the state with the next trial.

        Its phase is `TRIAL`, or its status that of a run that has converged.
        """
        raise NotImplementedError

    def forget(self, state: dict[str, Any]) -> dict[str, Any]:
        """What a new run begins with of its own vectors; scalars are 0."""
        return {}
