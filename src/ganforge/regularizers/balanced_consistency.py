from __future__ import annotations

from typing import Unpack

from torch import Tensor

from ganforge.errors import require
from ganforge.regularizers.consistency import Consistency, ConsistencyParts
from ganforge.regularizers.context import UpdateContext


class BalancedConsistency(Consistency):
    """E[(D(x) - D(T(x)))^2] at real images, plus the same at generated images.

    bCR of Zhao et al. 2021, arXiv:2002.04724. If only reals are transformed, as in CR, the
    generator learns to generate transformed images. Together with
    :class:`~ganforge.regularizers.LatentConsistency` and
    :class:`~ganforge.regularizers.LatentDiversity` it is the paper's ICR.

    Args:
        fake: weight of the term at generated images relative to that at reals: the paper's
            lambda_fake / lambda_real.
        **parts: see Consistency; its ``weight`` is the paper's lambda_real.
    """

    def __init__(self, *, fake: float = 1.0, **parts: Unpack[ConsistencyParts]) -> None:
        super().__init__(**parts)
        require(fake >= 0, f"BalancedConsistency: fake must be at least 0, got {fake}")
        self.fake = fake

    def term(self, context: UpdateContext) -> Tensor:
        """Returns the mean squared difference of logits at reals plus that at fakes, a scalar."""
        at_fakes = self.change(context, context.fake_images, context.fake_logits)
        return super().term(context) + self.fake * at_fakes
