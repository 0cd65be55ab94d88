from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ganforge.errors import ConfigError
from ganforge.networks.generator import Generator
from ganforge.networks.layers.equalized import EqualizedConv2d
from ganforge.networks.layers.mapping import Mapping
from ganforge.networks.layers.progressive import GrowthLevel, double
from ganforge.networks.layers.shapes import check_stages
from ganforge.networks.pggan import PGGANDiscriminator
from ganforge.networks.r3gan import stage_widths
from ganforge.networks.stylegan_blocks import SmoothHalvingBlock, SynthesisStage


class StyleGANGenerator(Generator):
    """StyleGAN generator: a mapping network, and synthesis from a learned constant with AdaIN.

    Karras et al. 2019, arXiv:1812.04948. At 1024x1024x3 with the default widths it is the paper's
    network, with 26.2 million parameters (section 2; 26,219,627). It generates images of the
    current level of growth; each size has two layers with a style each. There is no tanh at the
    end; in evaluation images are clamped to [-1, 1].

    ``forward`` uses the constant noise maps, so its output is a function of z.

    Args:
        image_size: side of the full images: 8, 16, ... 1024.
        channels: 1 to 4.
        latent_dim: length of z.
        w_dim: length of w.
        mapping_layers: number of layers of the mapping network.
        learning_rate_multiplier: learning rate of the mapping network, relative to other layers.
        w_mean_decay: decay of the moving average of w, per update.
        width: channels from 4x4 up to the resolution ``full_width``; then halved at each doubling.
        full_width: largest resolution with ``width`` channels.
        num_classes: number of classes; 0 for an unconditional network.
        conditioning: how labels enter: none, or concatenation of their embedding with z.
    """

    def __init__(
        self,
        image_size: int,
        channels: int,
        latent_dim: int = 512,
        w_dim: int = 512,
        mapping_layers: int = 8,
        learning_rate_multiplier: float = 0.01,
        w_mean_decay: float = 0.995,
        width: int = 512,
        full_width: int = 32,
        num_classes: int = 0,
        conditioning: str = "none",
    ) -> None:
        check_stages("StyleGANGenerator", image_size, width, full_width)
        super().__init__(image_size, channels, latent_dim, num_classes, conditioning)
        if conditioning == "normalization":
            raise ConfigError(
                "StyleGANGenerator: conditioning=normalization: the gains and shifts are those of "
                "the styles, and labels join z. Take condition=embedding, or condition=none"
            )
        widths = stage_widths(image_size, width, full_width)
        self.mapping = Mapping(
            latent_dim,
            w_dim,
            num_ws=2 * len(widths),
            layers=mapping_layers,
            num_classes=num_classes if conditioning == "concatenation" else 0,
            learning_rate_multiplier=learning_rate_multiplier,
            w_mean_decay=w_mean_decay,
        )
        self.level = GrowthLevel(len(widths) - 1)
        self.constant = nn.Parameter(torch.ones(1, widths[0], 4, 4))
        self.stages = nn.ModuleList(
            SynthesisStage(widths[max(stage - 1, 0)], wide, stage, w_dim)
            for stage, wide in enumerate(widths)
        )
        self.to_image = nn.ModuleList(EqualizedConv2d(wide, channels, 1) for wide in widths)

    def grow(self, level: float) -> None:
        """Sets the level of the generated images: 0 is 4x4, 2.3 is 16x16 with 0.3 of 32x32."""
        self.level.set(level)

    @property
    def noise_sides(self) -> list[int]:
        """Sides of the noise maps at the current level, one for each layer."""
        return [4 << layer // 2 for layer in range(2 * self.level.stage + 2)]

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Returns images [B, C, H, W] of latents [B, latent_dim], with the constant noise maps.

        They are in [-1, 1] in evaluation mode; in training mode they are not clamped.
        """
        return self.synthesize(self.mapping.broadcast(self.mapping(z, labels)))

    def synthesize(self, ws: Tensor, noise: Sequence[Tensor] | None = None) -> Tensor:
        """Returns images [B, C, H, W] of styles for each layer.

        Args:
            ws: [B, num_ws, w_dim]; styles of layers above the current level are ignored.
            noise: a map [B or 1, 1, side, side] for each of ``noise_sides``; None uses the
                constant maps.
        """
        features = below = self.constant.expand(len(ws), -1, -1, -1)
        for stage in range(self.level.stage + 1):
            below = features
            layers = slice(2 * stage, 2 * stage + 2)
            maps = (None, None) if noise is None else tuple(noise[layers])
            features = self.stages[stage](features, ws[:, layers], maps)
        last = self.level.stage
        images: Tensor = self.to_image[last](features)
        if self.level.fading:
            images = self.level.fade(double(self.to_image[last - 1](below)), images)
        return images if self.training else images.clamp(-1, 1)


class StyleGANDiscriminator(PGGANDiscriminator):
    """PGGAN discriminator with bilinear downsampling: smoothing before halving.

    Karras et al. 2019, arXiv:1812.04948, section 2, config B. At 1024x1024x3 with the default
    widths it has the 23.1 million parameters of arXiv:1710.10196.

    Args:
        image_size: side of the full images: 8, 16, ... 1024.
        channels: 1 to 4.
        width: channels of the stages up to the resolution ``full_width``; then halved per stage.
        full_width: largest resolution with ``width`` channels.
        minibatch_stddev: group size of the minibatch standard deviation at 4x4; 0 for none.
        num_classes: number of classes; 0 for an unconditional network.
        conditioning: how labels enter: none, concatenation or projection.
        auxiliary: lengths of the auxiliary outputs.
        packing: images per input (PacGAN, arXiv:1712.04086).
    """

    def __init__(
        self,
        image_size: int,
        channels: int,
        width: int = 512,
        full_width: int = 32,
        minibatch_stddev: int = 4,
        num_classes: int = 0,
        conditioning: str = "none",
        auxiliary: Sequence[int] = (),
        packing: int = 1,
    ) -> None:
        check_stages("StyleGANDiscriminator", image_size, width, full_width)
        super().__init__(
            image_size=image_size,
            channels=channels,
            width=width,
            full_width=full_width,
            minibatch_stddev=minibatch_stddev,
            num_classes=num_classes,
            conditioning=conditioning,
            auxiliary=auxiliary,
            packing=packing,
        )
        widths = stage_widths(image_size, width, full_width)
        self.blocks = nn.ModuleList(map(SmoothHalvingBlock, widths[1:], widths[:-1]))
