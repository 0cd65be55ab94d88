"""Image-to-image models and data that take milliseconds."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ganforge.data.source import ImageSource, MemorySource
from ganforge.data.translation.module import TranslationData
from ganforge.losses.least_squares import LeastSquaresLoss
from ganforge.losses.nonsaturating import NonsaturatingLoss
from ganforge.models.cyclegan import CycleGAN
from ganforge.models.pix2pix import Pix2Pix
from ganforge.networks.patch_discriminator import PatchDiscriminator
from ganforge.networks.resnet_translator import ResNetTranslator
from ganforge.networks.translator import DiscriminatorPair, TranslatorPair
from ganforge.networks.unet import UNetTranslator
from tests.support import games

SIZE, GREY, RGB, BATCH = 16, 1, 3, 4


class TinyData(TranslationData):
    """24 random gray inputs, and color targets that are darker or brighter inputs."""

    def __init__(self, batch_size: int = BATCH, channels: int = RGB, seed: int = 3) -> None:
        super().__init__(
            name="tiny",
            image_size=SIZE,
            load_size=SIZE + 2,
            input_channels=GREY,
            channels=channels,
            num_classes=0,
            direction="AtoB",
            batch_size=batch_size,
            workers=0,
            seed=seed,
            mirror=True,
            max_images=None,
        )

    def inputs_of(self, count: int, side: int, seed: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        return torch.randint(0, 256, (count, GREY, side, side), generator=generator).byte()


class TinyPairs(TinyData):
    """Paired inputs and targets."""

    gives = frozenset({"inputs", "pairs"})

    def load(self) -> dict[str, ImageSource]:
        splits = {"train": self.inputs_of(24, SIZE + 2, 0), "test": self.inputs_of(6, SIZE, 1)}
        return {
            split: MemorySource(torch.cat([x, (x // 2).repeat(1, self.channels, 1, 1)], 1))
            for split, x in splits.items()
        }


class TinyDomains(TinyData):
    """Unpaired inputs and targets."""

    def load(self) -> dict[str, ImageSource]:
        splits = {"train": self.inputs_of(20, SIZE + 2, 2), "test": self.inputs_of(6, SIZE, 3)}
        return {s: MemorySource(y.repeat(1, self.channels, 1, 1)) for s, y in splits.items()}

    def load_inputs(self) -> dict[str, ImageSource]:
        splits = {"train": self.inputs_of(24, SIZE + 2, 0), "test": self.inputs_of(5, SIZE, 1)}
        return {split: MemorySource(x) for split, x in splits.items()}


def pix2pix(norm: str = "none", dropout: float = 0.0, **changes: Any) -> Pix2Pix:
    """A Pix2Pix of small networks with fixed weights; without norm and dropout by default."""
    torch.manual_seed(0)
    parts: dict[str, Any] = {
        "generator": UNetTranslator(SIZE, GREY, RGB, 4, 8, 2, norm=norm, dropout=dropout),
        "discriminator": PatchDiscriminator(GREY + RGB, width=4, layers=1, norm=norm),
        "loss": NonsaturatingLoss(),
        "generator_optimizer": games.ADAM,
        "discriminator_optimizer": games.ADAM,
        "seed": 3,
    }
    return Pix2Pix(**parts | changes)


def cyclegan(**changes: Any) -> CycleGAN:
    """A CycleGAN of small networks with fixed weights."""
    torch.manual_seed(0)
    parts: dict[str, Any] = {
        "generator": TranslatorPair(translator(GREY, RGB), translator(RGB, GREY)),
        "discriminator": DiscriminatorPair(patches(RGB), patches(GREY)),
        "loss": LeastSquaresLoss(),
        "generator_optimizer": games.ADAM,
        "discriminator_optimizer": games.ADAM,
        "identity_weight": 0.0,
        "pool_size": 6,
        "seed": 3,
    }
    return CycleGAN(**parts | changes)


def translator(channels: int, out: int) -> nn.Module:
    return ResNetTranslator(channels, out, width=4, blocks=1, norm="instance")


def patches(channels: int) -> nn.Module:
    return PatchDiscriminator(channels, width=4, layers=1, norm="instance")
