from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from ganforge.errors import ConfigError
from ganforge.networks.discriminator import Discriminator
from ganforge.networks.generator import Generator
from ganforge.networks.layers.equalized import EqualizedConv2d
from ganforge.networks.layers.labels import with_label_planes
from ganforge.networks.layers.minibatch_stddev import check_group_size
from ganforge.networks.layers.pixel_norm import pixel_norm
from ganforge.networks.layers.progressive import GrowthLevel, double, halve
from ganforge.networks.layers.shapes import check_stages
from ganforge.networks.pggan_blocks import (
    DoublingBlock,
    EqualizedHead,
    FirstBlock,
    HalvingBlock,
    LastBlock,
    activated,
    convolution,
)
from ganforge.networks.r3gan import stage_widths


class PGGANGenerator(Generator):
    """Progressively growing generator: starts at 4x4 and doubles the image size at each stage.

    Karras et al. 2018, arXiv:1710.10196, table 2: latents normalized to a hypersphere, equalized
    learning rate, pixel normalization. Every size has its own 1x1 convolution to images. There is
    no tanh at the end; in evaluation images are clamped to [-1, 1]. At 1024x1024x3 with width 512
    it is the paper's network, with 23.1 million parameters.

    Args:
        image_size: side of the full images: 8, 16, ... 1024.
        channels: 1 to 4.
        latent_dim: length of z.
        width: channels of the stages up to the resolution ``full_width``; then halved per stage.
        full_width: largest resolution with ``width`` channels.
        num_classes: number of classes; 0 for an unconditional network.
        conditioning: how labels enter: none or concatenation.
    """

    def __init__(
        self,
        image_size: int,
        channels: int,
        latent_dim: int = 512,
        width: int = 512,
        full_width: int = 32,
        num_classes: int = 0,
        conditioning: str = "none",
    ) -> None:
        check_stages("PGGANGenerator", image_size, width, full_width)
        super().__init__(image_size, channels, latent_dim, num_classes, conditioning)
        if conditioning == "normalization":
            raise ConfigError(
                "PGGANGenerator: conditioning=normalization needs a norm with gains and biases, "
                "and pixel normalization has none. Take condition=embedding, or condition=none"
            )
        widths = stage_widths(image_size, width, full_width)
        self.level = GrowthLevel(len(widths) - 1)
        self.first = FirstBlock(self.input_dim, widths[0])
        self.blocks = nn.ModuleList(map(DoublingBlock, widths[:-1], widths[1:]))
        self.to_image = nn.ModuleList(EqualizedConv2d(wide, channels, 1) for wide in widths)

    def grow(self, level: float) -> None:
        """Sets the level of the generated images: 0 is 4x4, 2.3 is 16x16 with 0.3 of 32x32."""
        self.level.set(level)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Returns images [B, C, S, S] of latents [B, latent_dim], labels [B].

        S is the side at the current level. Images are in [-1, 1] in evaluation mode; in training
        mode they are not clamped.
        """
        stage = self.level.stage
        features = below = self.first(self.inputs(pixel_norm(z), labels))
        for block in list(self.blocks)[:stage]:
            below, features = features, block(features)
        images: Tensor = self.to_image[stage](features)
        if self.level.fading:
            images = self.level.fade(double(self.to_image[stage - 1](below)), images)
        return images if self.training else images.clamp(-1, 1)


class PGGANDiscriminator(Discriminator):
    """Progressively growing discriminator, mirrored from the generator, with minibatch stddev.

    Karras et al. 2018, arXiv:1710.10196, table 2. At 1024x1024x3 with width 512 it is the paper's
    network, with 23.1 million parameters.

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
        check_stages("PGGANDiscriminator", image_size, width, full_width)
        check_group_size("PGGANDiscriminator", minibatch_stddev)
        super().__init__(image_size, channels, num_classes, conditioning, auxiliary, packing)
        widths = stage_widths(image_size, width, full_width)
        planes = num_classes if conditioning == "concatenation" else 0
        self.level = GrowthLevel(len(widths) - 1)
        self.from_image = nn.ModuleList(
            convolution(self.inputs + planes, wide, kernel_size=1) for wide in widths
        )
        self.blocks = nn.ModuleList(map(HalvingBlock, widths[1:], widths[:-1]))
        self.last = LastBlock(widths[0], minibatch_stddev)
        projection = conditioning == "projection"
        self.head = EqualizedHead(widths[0], num_classes, projection, self.auxiliary_sizes)

    def grow(self, level: float) -> None:
        """Sets the level of the input images: 0 is 4x4, 2.3 is 16x16 with 0.3 of 32x32."""
        self.level.set(level)

    def features(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Returns the features [B, F] of images [B, packing * C, S, S] of the current level."""
        if self.conditioning == "concatenation":
            images = with_label_planes(images, labels, self.num_classes)
        features = self._seen(images)
        for block in reversed(list(self.blocks)[: max(self.level.stage - 1, 0)]):
            features = block(features)
        seen: Tensor = self.last(features)
        return seen

    def _seen(self, images: Tensor) -> Tensor:
        """Returns the features one stage below that of the images, or at 4x4 if there is none."""
        stage = self.level.stage
        features: Tensor = activated(self.from_image[stage](images))
        if stage == 0:
            return features
        features = self.blocks[stage - 1](features)
        if self.level.fading:
            below = activated(self.from_image[stage - 1](halve(images)))
            features = self.level.fade(below, features)
        return features
