from __future__ import annotations

from torch import Tensor, nn

from ganforge.streams import Noise


class AdversarialLoss(nn.Module):
    """Base class of the losses. They take the discriminator's raw logits, before any sigmoid.

    Attributes:
        paired: whether the generator's loss needs the logits of real images too.
        boundary: the logit above which an image counts as classified real; None if logits have no
            fixed origin (Wasserstein, relativistic), in which case real images are compared with
            the mean of the fakes.
    """

    paired: bool = False
    boundary: float | None = 0.0

    # nn.Module.__init__ accepts any arguments, so the configuration check could not find typos.
    def __init__(self) -> None:
        super().__init__()

    def discriminator(
        self, real_logits: Tensor, fake_logits: Tensor, noise: Noise | None = None
    ) -> Tensor:
        """Returns the discriminator's loss, a scalar.

        Args:
            real_logits: [B] logits of real images.
            fake_logits: [B] logits of generated images.
            noise: random draws of this update, for losses with noisy labels.
        """
        raise NotImplementedError

    def generator(self, fake_logits: Tensor, real_logits: Tensor | None = None) -> Tensor:
        """Returns the generator's loss, a scalar.

        Args:
            fake_logits: [B] logits of generated images.
            real_logits: [B] logits of real images; required if ``paired``.
        """
        raise NotImplementedError
