from __future__ import annotations

from typing import Unpack, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganforge.errors import require
from ganforge.models.engine.checks import check_weights
from ganforge.models.engine.update import Batch, Update
from ganforge.models.parts import TranslationParts
from ganforge.models.translation import TranslationModel, detached
from ganforge.networks.contract import contract_of


class Pix2Pix(TranslationModel):
    """Pix2Pix: paired image-to-image translation (Isola et al. 2017, arXiv:1611.07004).

    G* = arg min_G max_D L_cGAN(G, D) + lambda L_L1(G). The discriminator gets the input and the
    output, concatenated on the channel axis. The generator's dropout is the noise. The loss of D
    is divided by 2. G is updated first and D then on the same outputs, so each is generated once.

    The generator has ``in_channels`` and ``out_channels``; the discriminator returns one logit for
    each patch of the concatenated images.

    Args:
        adversarial_weight: factor of the generator's adversarial loss, above 0.
        discriminator_weight: factor of the discriminator's loss, the paper's 1/2.
        l1_weight: the paper's lambda.
        **parts: see TranslationModel.
    """

    needs = frozenset({"inputs", "pairs"})

    def __init__(
        self,
        *,
        adversarial_weight: float = 1.0,
        discriminator_weight: float = 0.5,
        l1_weight: float = 100.0,
        **parts: Unpack[TranslationParts],
    ) -> None:
        super().__init__(
            adversarial_weight=adversarial_weight,
            discriminator_weight=discriminator_weight,
            **parts,
        )
        check_weights(l1_weight=l1_weight)
        self.l1_weight = l1_weight
        channels = sum(self.channels("target"))
        built = contract_of(self.discriminator).in_channels
        require(
            built in (None, channels),
            f"model=pix2pix: the discriminator's input and output images have {channels} channels "
            f"in total, but it is built for {built}",
        )

    def check(self) -> None:
        """Raises ConfigError if the generator is not a single network from inputs to outputs."""
        built = contract_of(self.generator)
        require(
            None not in (built.in_channels, built.out_channels),
            "model=pix2pix needs one network from inputs to outputs; "
            f"{type(self.generator).__name__} is not one. Use network=pix2pix",
        )

    def discriminators(self) -> dict[str, nn.Module]:
        """Returns the discriminator, under the domain "target"."""
        return {"target": self.discriminator}

    def generators(self) -> dict[str, nn.Module]:
        """Returns the generator, under the domain "target"."""
        return {"target": self.generator}

    def channels(self, domain: str) -> tuple[int, ...]:
        """Returns the channels of the input and of the output."""
        return cast(int, self.generator.in_channels), cast(int, self.generator.out_channels)

    def fakes(self, batch: Batch) -> Batch:
        """Returns ``fake``, the outputs G(x) [B, C_out, H, W]."""
        return {"fake": self.generator(batch["input"])}

    def generator_loss(self, update: Update) -> Tensor:
        """Returns L_GAN(G) + lambda E |y - G(x)|_1."""
        x, y = update.batch["input"], update.batch["image"]
        fakes = self.fakes(update.batch)
        update.kept.update(detached(fakes))
        fake = fakes["fake"].float()
        distance = F.l1_loss(fake, y)
        update.observe("generator/l1", distance)
        real, fake = torch.cat([x, y], 1), torch.cat([x, fake], 1)
        adversarial = self.adversarial_generator_loss(update, "target", real, fake)
        return adversarial + self.l1_weight * distance

    def discriminator_loss(self, update: Update) -> Tensor:
        """Returns the loss of D on real and generated pairs."""
        x, y, fake = (update.batch[name] for name in ("input", "image", "fake"))
        real, fake = torch.cat([x, y], 1), torch.cat([x, fake], 1)
        return self.adversarial_discriminator_loss(update, "target", real, fake)
