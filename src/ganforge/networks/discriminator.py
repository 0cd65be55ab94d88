from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from ganforge.errors import ConfigError
from ganforge.networks.layers.head import Head
from ganforge.networks.layers.shapes import check_channels, check_positive

CONDITIONINGS = ("none", "concatenation", "projection")


class Discriminator(nn.Module):
    """Base class of discriminators: features of images, then a head that returns logits.

    Args:
        image_size: side of the images.
        channels: C of one image.
        num_classes: number of classes; 0 for an unconditional network.
        conditioning: how labels enter: "none"; "concatenation" with the image (Mirza & Osindero
            2014, arXiv:1411.1784); "projection" in the head (arXiv:1802.05637).
        auxiliary: lengths of the head's auxiliary outputs.
        packing: images per input, concatenated on the channel axis (PacGAN, Lin et al. 2018,
            arXiv:1712.04086). The network's input has packing * channels.

    Attributes:
        head: set by subclasses, with the length of their features.
    """

    head: Head

    def __init__(
        self,
        image_size: int,
        channels: int,
        num_classes: int = 0,
        conditioning: str = "none",
        auxiliary: Sequence[int] = (),
        packing: int = 1,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        check_positive(name, "image_size", image_size)
        check_channels(name, channels)
        check_positive(name, "packing", packing)
        check_conditioning(name, conditioning, CONDITIONINGS, num_classes)
        self.image_size = image_size
        self.channels = channels
        self.num_classes = num_classes
        self.conditioning = conditioning
        self.auxiliary_sizes = list(auxiliary)
        self.packing = packing

    @property
    def inputs(self) -> int:
        """Input channels of the first layer, without label planes."""
        return self.channels * self.packing

    def make_head(self, feature_dim: int, bias: bool = True) -> Head:
        """Returns the head for features [B, feature_dim]."""
        projection = self.conditioning == "projection"
        return Head(feature_dim, self.num_classes, projection, self.auxiliary_sizes, bias)

    def features(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Returns the last features [B, F] of images [B, packing * C, H, W] in [-1, 1]."""
        raise NotImplementedError

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Returns raw logits [B] of images [B, packing * C, H, W] in [-1, 1].

        Args:
            images: images, ``packing`` of them per row.
            labels: int64 [B], for a conditional discriminator.
        """
        logits: Tensor = self.head(self.features(images, labels), labels)
        return logits

    def logits_and_auxiliary(
        self, images: Tensor, labels: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Returns raw logits [B] and auxiliary outputs [B, A] from one forward pass."""
        if self.head.auxiliary is None:
            raise ConfigError(f"{type(self).__name__} was built without auxiliary outputs")
        features = self.features(images, labels)
        return self.head(features, labels), self.head.auxiliary(features)


def check_conditioning(
    name: str, conditioning: str, legal: Sequence[str], num_classes: int
) -> None:
    """Raises ConfigError for an unknown conditioning, or for one without classes."""
    if conditioning not in legal:
        raise ConfigError(
            f"{name}: conditioning must be one of {', '.join(legal)}; got {conditioning!r}"
        )
    if num_classes < 0:
        raise ConfigError(f"{name}: num_classes must be at least 0, got {num_classes}")
    if conditioning != "none" and num_classes < 1:
        raise ConfigError(
            f"{name}: conditioning={conditioning} needs labels, and data.num_classes is 0"
        )
