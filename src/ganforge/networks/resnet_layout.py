"""Block layouts of the residual networks for each image size.

Size 16 is not published: it is CIFAR's layout with one block less in the generator.
"""

from __future__ import annotations

from dataclasses import dataclass

from ganforge.errors import ConfigError
from ganforge.networks.layers.shapes import way_out


@dataclass(frozen=True)
class GeneratorLayout:
    """Generator layout: a linear layer to start x start, then blocks that double the resolution.

    Attributes:
        width: published base number of channels.
        start: side of the first features.
        multiples: channels of the first features and after each block, in multiples of the width.
    """

    width: int
    start: int
    multiples: tuple[int, ...]

    @property
    def sides(self) -> list[int]:
        """Side of the features after each block."""
        return [self.start << step for step in range(1, len(self.multiples))]


@dataclass(frozen=True)
class DiscriminatorLayout:
    """Discriminator layout: blocks that halve the resolution, then blocks that keep it.

    Attributes:
        width: published base number of channels.
        multiples: channels after each block, in multiples of the width.
        halvings: number of blocks that halve the resolution; they come first.
    """

    width: int
    multiples: tuple[int, ...]
    halvings: int

    def sides(self, image_size: int) -> list[int]:
        """Returns the side of the features after each block."""
        return [image_size >> min(k + 1, self.halvings) for k in range(len(self.multiples))]


# Miyato et al. 2018, arXiv:1802.05957, appendix B: CIFAR-10 (32), STL-10 (48), ImageNet (128). The
# 64-pixel pair is from the authors' code for Miyato & Koyama 2018, arXiv:1802.05637: that of
# ImageNet with one block less in each network.
GENERATORS = {
    16: GeneratorLayout(256, 4, (1, 1, 1)),
    32: GeneratorLayout(256, 4, (1, 1, 1, 1)),
    48: GeneratorLayout(64, 6, (8, 4, 2, 1)),
    64: GeneratorLayout(64, 4, (16, 8, 4, 2, 1)),
    128: GeneratorLayout(64, 4, (16, 16, 8, 4, 2, 1)),
}
DISCRIMINATORS = {
    16: DiscriminatorLayout(128, (1, 1, 1, 1), 2),
    32: DiscriminatorLayout(128, (1, 1, 1, 1), 2),
    48: DiscriminatorLayout(64, (1, 2, 4, 8, 16), 4),
    64: DiscriminatorLayout(64, (1, 2, 4, 8, 16), 5),
    128: DiscriminatorLayout(64, (1, 2, 4, 8, 16, 16), 5),
}


def check_size(name: str, image_size: int) -> None:
    """Raises ConfigError for an image size without a layout."""
    if image_size not in GENERATORS:
        others = "network=dcgan goes up to 256, and network=mlp takes any size"
        raise ConfigError(
            f"{name}: image_size must be one of {', '.join(map(str, GENERATORS))}; got "
            f"{image_size}. {way_out(image_size, [*GENERATORS], others)}"
        )
