from __future__ import annotations

import math
from typing import Any, Unpack

from ganforge.errors import ConfigError, require
from ganforge.models.engine.checks import refuse_batch_norm
from ganforge.models.engine.update import Player
from ganforge.models.gan import GAN
from ganforge.models.parts import GANParts


class R3GAN(GAN):
    """R3GAN (Huang et al. 2024, arXiv:2501.05441): relativistic pairing loss with R1 and R2.

    All schedules are functions of the real images seen: the penalties' weight, the learning rate,
    Adam's beta_2, the half-life of the moving average and the strength of augmentation. Each
    schedule is set in its own part; this class schedules beta_2, which follows half a cosine from
    the optimizer's value to ``final_beta2``.

    Args:
        final_beta2: final value of Adam's beta_2; None keeps the optimizer's value.
        beta2_images: real images after which the final value is reached.
        **parts: see GAN.
    """

    def __init__(
        self,
        *,
        final_beta2: float | None = 0.99,
        beta2_images: int = 20_000_000,
        **parts: Unpack[GANParts],
    ) -> None:
        super().__init__(**parts)
        if final_beta2 is not None and not 0 <= final_beta2 < 1:
            raise ConfigError(f"model.final_beta2 must be in [0, 1) or null, got {final_beta2}")
        require(beta2_images >= 1, f"model.beta2_images must be at least 1, got {beta2_images}")
        self.final_beta2 = final_beta2
        self.beta2_images = beta2_images

    def check(self) -> None:
        """Raises ConfigError if the discriminator mixes images (batch normalization)."""
        refuse_batch_norm(
            "r3gan",
            self.discriminator,
            "but R1, R2 and the pairing need logits that depend on a single image",
            "network=r3gan, or network.discriminator.norm=none",
        )

    def beta2_at(self, start: float, images_seen: int) -> float:
        """Returns Adam's beta_2 after ``images_seen`` images, if it starts at ``start``."""
        if self.final_beta2 is None:
            return start
        passed = min(images_seen / self.beta2_images, 1.0)
        return start + (1 - math.cos(math.pi * passed)) / 2 * (self.final_beta2 - start)

    def optimizer_settings(self, player: Player, defaults: dict[str, Any]) -> dict[str, Any]:
        """Returns the settings of a player's optimizer in the next step, beta_2 included."""
        settings = super().optimizer_settings(player, defaults)
        if "betas" not in defaults:  # not an Adam-like optimizer
            return settings
        beta1, start = defaults["betas"]
        beta2 = self.beta2_at(start, self.images_seen)
        self.observe(f"{player}/beta2", beta2)
        return settings | {"betas": (beta1, beta2)}
