from __future__ import annotations

from torch import Tensor

from ganforge.regularizers.context import UpdateContext
from ganforge.regularizers.regularizer import Regularizer


class Drift(Regularizer):
    """E[D(x)^2] at real images: keeps the critic's logits near 0.

    Karras et al. 2018, arXiv:1710.10196, appendix A.1. Without it, logits under a Wasserstein loss
    can drift, because only their differences matter.

    Args:
        weight: the paper's epsilon_drift.
        every: apply at every n-th update of the discriminator, n times as strongly.
    """

    second_order = False

    def __init__(self, weight: float = 0.001, every: int = 1) -> None:
        super().__init__(weight, every)

    def term(self, context: UpdateContext) -> Tensor | None:
        """Returns E[D(x)^2], a scalar; None if the logits of reals were not computed."""
        return None if context.real_logits is None else context.real_logits.square().mean()
