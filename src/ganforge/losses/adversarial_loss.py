from __future__ import annotations

from torch import Tensor, nn

from ganforge.streams import Noise


class AdversarialLoss(nn.Module):
    """What each player minimises, given the discriminator's raw logits (never a sigmoid's output).

    Attributes:
        paired: the generator's loss needs the logits of real images too.
        boundary: the logit above which an image counts as judged real; None where logits have no
            origin (Wasserstein, relativistic) and reals are judged against the mean of the fakes.
    """

    paired: bool = False
    boundary: float | None = 0.0

    def __init__(self) -> None:  # nn.Module's own takes anything: no check could refuse a typo
        super().__init__()

    def discriminator(
        self, real_logits: Tensor, fake_logits: Tensor, noise: Noise | None = None
    ) -> Tensor:
        """Returns the discriminator's loss, a scalar.

        Args:
            real_logits: [B] logits of real images.
            fake_logits: [B] logits of generated images.
            noise: random draws of this update, for losses whose labels are noisy.
        """
        raise NotImplementedError

    def generator(self, fake_logits: Tensor, real_logits: Tensor | None = None) -> Tensor:
        """Returns the generator's loss, a scalar.

        Args:
            fake_logits: [B] logits of generated images.
            real_logits: [B] logits of real images, given to a ``paired`` loss.
        """
        raise NotImplementedError
