from __future__ import annotations

from torch import Tensor

from ganforge.errors import ConfigError
from ganforge.regularizers.consistency import Consistency
from ganforge.regularizers.context import UpdateContext


class BalancedConsistency(Consistency):
    """E[(D(x) - D(T(x)))^2] at real images, plus the same at generated images.

    bCR of Zhao et al. 2021, arXiv:2002.04724. If only reals are transformed, as in CR, the
    generator learns to generate transformed images. Together with
    :class:`~ganforge.regularizers.LatentConsistency` and
    :class:`~ganforge.regularizers.LatentDiversity` it is the paper's ICR.

    Args:
        weight: the paper's lambda_real.
        every: apply at every n-th update of the discriminator, n times as strongly.
        shift: largest shift in each direction, in pixels.
        flip: whether T mirrors half of the images; not for digits and letters.
        fake: weight of the term at generated images relative to that at reals: the paper's
            lambda_fake / lambda_real.
    """

    def __init__(
        self,
        weight: float = 10.0,
        every: int = 1,
        shift: int = 4,
        flip: bool = True,
        fake: float = 1.0,
    ) -> None:
        super().__init__(weight, every, shift, flip)
        if fake < 0:
            raise ConfigError(f"BalancedConsistency: fake must be at least 0, got {fake}")
        self.fake = fake

    def term(self, context: UpdateContext) -> Tensor:
        """Returns the mean squared difference of logits at reals plus that at fakes, a scalar."""
        at_fakes = self.change(context, context.fake_images, context.fake_logits)
        return super().term(context) + self.fake * at_fakes
