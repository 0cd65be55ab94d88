from __future__ import annotations

from ganforge.models.engine.checks import mismatch
from ganforge.models.gan import GAN


class PacGAN(GAN):
    """PacGAN (Lin et al. 2018, arXiv:1712.04086).

    The discriminator gets several images as one input, all real or all generated. A pack from a
    generator that lost modes is less varied than a real one, which single images do not show.
    """

    def check(self) -> None:
        """Raises ConfigError unless ``packing`` is at least 2."""
        if self.packing < 2:
            raise mismatch(
                "pacgan",
                f"with model.packing={self.packing} it does not pack images",
                "model.packing=2 or more, or model=dcgan",
            )
