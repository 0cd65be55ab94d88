from __future__ import annotations

from ganforge.errors import require


class BoostedCriticSteps:
    """Critic steps of the WGAN authors' code (Arjovsky et al. 2017, arXiv:1701.07875).

    The first steps, and later every ``period``-th step, train the critic close to its optimum, so
    that its gradient approximates that of the Wasserstein distance.

    Args:
        steps: critic updates in a normal step.
        boosted: critic updates in a boosted step.
        first: number of boosted steps at the start.
        period: every period-th step is boosted too.
    """

    def __init__(
        self, steps: int = 5, boosted: int = 100, first: int = 25, period: int = 500
    ) -> None:
        for name, value in [("steps", steps), ("boosted", boosted), ("period", period)]:
            require(value >= 1, f"critic_steps.{name} must be at least 1, got {value}")
        require(first >= 0, f"critic_steps.first must be at least 0, got {first}")
        self.steps = steps
        self.boosted = boosted
        self.first = first
        self.period = period

    def __call__(self, iteration: int) -> int:
        """Returns the critic updates of the step after ``iteration`` finished steps."""
        boosted = iteration < self.first or iteration % self.period == 0
        return self.boosted if boosted else self.steps
