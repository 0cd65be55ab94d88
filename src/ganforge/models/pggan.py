from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Unpack, cast

import torch.nn.functional as F
from torch import Tensor, nn

from ganforge.errors import ConfigError
from ganforge.models.engine.adversarial import AdversarialModule
from ganforge.models.engine.checks import mismatch
from ganforge.models.engine.progressive import Growth, reals_at, size_of
from ganforge.models.engine.update import Batch, Objective, Player, Update
from ganforge.models.gan import GAN
from ganforge.models.parts import GANParts
from ganforge.networks.contract import contract_of
from ganforge.streams import Noise


class Growing(AdversarialModule):
    """Base class of models whose players grow from small images to the full size.

    The level of growth, the batch size and the learning rate are functions of the real images
    seen, so a run that was killed during a fade resumes in it. The data have the full size;
    training uses downsampled images of the current level. Samples are upsampled to the full size
    by repeating pixels. The optimizers keep their state when a stage is added.

    Both networks have a method ``grow``, which sets the level of their images.
    """

    growth: Growth
    _size: int | None = None

    def start_growth(self, growth: Growth) -> None:
        """Sets the schedule and the networks' level; called by the constructors of subclasses."""
        self.growth = growth
        for player in ("generator", "discriminator"):
            size = contract_of(getattr(self, player)).image_size
            if size not in (None, growth.image_size):
                raise ConfigError(
                    f"model.growth.image_size is {growth.image_size}, but the {player} is built "
                    f"for {size}"
                )
        self.grow()

    def play(self, reals: list[Batch]) -> None:
        """Runs one step on images of the current level."""
        level = self.grow()
        self.observe("growth/level", level)
        downsampled = [real | {"image": reals_at(real["image"], level)} for real in reals]
        super().play(downsampled)

    def generate(self, generator: nn.Module, noise: Noise, labels: Tensor | None = None) -> Tensor:
        """Returns G(z) for z ~ N(0, I), upsampled to the full size: [rows, C, H, W] in [-1, 1]."""
        self.grow()
        images = super().generate(generator, noise, labels)
        return F.interpolate(images, size=self.growth.image_size, mode="nearest")

    def grow(self) -> float:
        """Sets all networks to the level of the images seen and returns it."""
        level = self.growth.level_at(self.images_seen)
        if size_of(level) != self._size:
            self.forget_updates()
        self._size = size_of(level)
        for network in (self.generator, self.discriminator):
            cast(Any, network).grow(level)
        if self.average is not None:
            cast(Any, self.average.module).grow(level)
        return level

    def phase(self, objective: Objective, update: Update) -> Hashable:
        """Returns what decides on the operations of an update: also whether a stage is faded in.

        How far it is faded in is an input of the operations.
        """
        level = self.growth.level_at(update.images_seen)
        return (level.is_integer(), size_of(level), super().phase(objective, update))

    def batch_size_at(self, images_seen: int, batch_size: int) -> int:
        """Returns the global batch size of the next critic update."""
        return self.growth.batch_size_at(images_seen, batch_size)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restores the counters and the level of growth."""
        super().on_load_checkpoint(checkpoint)
        self.grow()

    def optimizer_settings(self, player: Player, defaults: dict[str, Any]) -> dict[str, Any]:
        """Returns the settings of a player's optimizer in the next step."""
        settings = super().optimizer_settings(player, defaults)
        factor = self.growth.learning_rate_factor_at(self.images_seen)
        return settings | {"lr": settings["lr"] * factor}


class PGGAN(Growing, GAN):
    """PGGAN (Karras et al. 2018, arXiv:1710.10196): both players grow from 4x4 to the full size.

    Args:
        growth: schedule of the levels, with batch sizes and learning rate factors.
        **parts: see GAN.
    """

    def __init__(self, *, growth: Growth, **parts: Unpack[GANParts]) -> None:
        super().__init__(**parts)
        self.start_growth(growth)

    def check(self) -> None:
        """Raises ConfigError if a player cannot grow."""
        for player in ("generator", "discriminator"):
            if "grow" not in contract_of(getattr(self, player)).methods:
                raise mismatch(
                    "pggan",
                    f"the {player} does not grow",
                    "network=pggan; or model=wgan_gp, the same model without growth",
                )
