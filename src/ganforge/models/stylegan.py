from __future__ import annotations

from typing import Any, Unpack

import torch.nn.functional as F
from torch import Tensor

from ganforge.models.engine.checks import mismatch
from ganforge.models.engine.progressive import Growth
from ganforge.models.engine.update import Weights
from ganforge.models.gan import GAN
from ganforge.models.parts import StyleParts
from ganforge.models.pggan import Growing
from ganforge.models.style_based import StyleBased
from ganforge.networks.contract import contract_of


class StyleGAN(Growing, StyleBased, GAN):
    """StyleGAN (Karras et al. 2019, arXiv:1812.04948): PGGAN's growth with a style-based generator.

    It adds a mapping network, whose styles control the statistics of features, noise maps for
    stochastic detail, style mixing, and truncation in W. The paper starts at 8x8 and trains on
    faces (FFHQ) with the nonsaturating loss and R1.

    Set ``growth.start_size`` to the image size to train without growth.

    Args:
        growth: schedule of the levels, with batch sizes and learning rate factors.
        **parts: see StyleBased.
    """

    def __init__(self, *, growth: Growth, **parts: Unpack[StyleParts]) -> None:
        super().__init__(**parts)
        self.start_growth(growth)

    def check(self) -> None:
        """Raises ConfigError if a player cannot grow or the generator has no styles."""
        methods = contract_of(self.generator).methods
        grows = "grow" in methods & contract_of(self.discriminator).methods
        if not grows or not {"mapping", "synthesize"} <= methods:
            raise mismatch(
                "stylegan",
                "the generator has no styles, or one of the networks does not grow",
                "network=stylegan; or model=pggan, the same model without styles",
            )

    def layers_in_use(self, network: Any) -> int:
        """Returns the number of styles that images of the current level depend on."""
        return len(network.noise_sides)

    def render(self, ws: Tensor, seed: int = 0, weights: Weights = "ema", index: int = 0) -> Tensor:
        """Returns images [B, C, H, W] of full size, in [-1, 1], of styles; see StyleBased."""
        self.grow()
        images = super().render(ws, seed, weights, index)
        return F.interpolate(images, size=self.growth.image_size, mode="nearest")
