from __future__ import annotations

from typing import Any, Literal, Unpack

import torch.nn.functional as F
from torch import Tensor

from ganforge.models.gan import refuse
from ganforge.models.parts import PGGANParts
from ganforge.models.pggan import PGGAN
from ganforge.models.style_based import StyleBased


class StyleGAN(PGGAN, StyleBased):
    """StyleGAN (Karras et al. 2019, arXiv:1812.04948): PGGAN's growth with a style-based generator.

    It adds a mapping network, whose styles control the statistics of features, noise maps for
    stochastic detail, style mixing, and truncation in W. The paper starts at 8x8 and trains on
    faces (FFHQ) with the nonsaturating loss and R1.

    Set ``growth.start_size`` to the image size to train without growth.

    Args:
        style_mixing: fraction of training images that are generated from two latents.
        truncation: psi for samples, in [-1, 1]: w' = mean + psi (w - mean). None for no truncation.
            May be changed at any time: ``model.truncation = 0.7``.
        truncation_cutoff: number of truncated layers, coarsest first; None for all.
        noise: noise of samples: "random"; "const", the same for all images; or "none".
        **parts: see PGGAN.
    """

    def __init__(
        self,
        *,
        style_mixing: float = 0.9,
        truncation: float | None = None,
        truncation_cutoff: int | None = None,
        noise: str = "random",
        **parts: Unpack[PGGANParts],
    ) -> None:
        super().__init__(**parts)
        self.set_styles(style_mixing, truncation, truncation_cutoff, noise)

    def check(self) -> None:
        """Raises ConfigError if a player cannot grow or the generator has no styles."""
        missing = [n for n in ("mapping", "synthesize", "grow") if not hasattr(self.generator, n)]
        if missing or not hasattr(self.discriminator, "grow"):
            raise refuse(
                "model=stylegan",
                "the generator has no styles, or one of the networks does not grow",
                "network=stylegan; or model=pggan, which is the same game without styles",
            )

    def layers_in_use(self, network: Any) -> int:
        """Returns the number of styles that images of the current level depend on."""
        return len(network.noise_sides)

    def render(
        self, ws: Tensor, seed: int = 0, weights: Literal["ema", "raw"] = "ema", index: int = 0
    ) -> Tensor:
        """Returns images [B, C, H, W] of full size, in [-1, 1], of styles ws [B, num_ws, w_dim].

        Args:
            ws: one style for each layer.
            seed: seed of the samples.
            weights: "ema" for the averaged generator, "raw" for the live one.
            index: index of the sample whose noise maps are used for all images.
        """
        self.grow()
        images = super().render(ws, seed, weights, index)
        return F.interpolate(images, size=self.growth.image_size, mode="nearest")
