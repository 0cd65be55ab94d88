from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypedDict

from torch import Tensor, nn

from ganforge.errors import ConfigError
from ganforge.networks.layers.head import Head
from ganforge.networks.layers.labels import with_label_planes
from ganforge.networks.layers.shapes import check_at_least, check_channels, check_choice

CONDITIONINGS = ("none", "concatenation", "projection")


class DiscriminatorArguments(TypedDict, total=False):
    """Arguments of every discriminator, except the shape of images."""

    num_classes: int
    conditioning: str
    auxiliary: Sequence[int]
    packing: int


class Discriminator(nn.Module):
    """Base class of discriminators: features of images, then a head that returns logits.

    Args:
        image_size: side of the images.
        channels: C of one image, 1 to 4.
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
        check_at_least(name, 1, image_size=image_size, packing=packing)
        check_channels(name, channels)
        check_conditioning(name, conditioning, CONDITIONINGS, num_classes)
        self.image_size = image_size
        self.channels = channels
        self.num_classes = num_classes
        self.conditioning = conditioning
        self.auxiliary_sizes = list(auxiliary)
        self.packing = packing

    @property
    def label_dim(self) -> int:
        """Number of classes if labels are concatenated with the image, otherwise 0."""
        return self.num_classes if self.conditioning == "concatenation" else 0

    @property
    def input_channels(self) -> int:
        """Input channels of the first convolution, label planes included."""
        return self.channels * self.packing + self.label_dim

    def join_labels(self, images: Tensor, labels: Tensor | None) -> Tensor:
        """Returns the input of the first convolution, [B, input_channels, H, W]."""
        return with_label_planes(images, labels, self.num_classes) if self.label_dim else images

    def make_head(self, feature_dim: int, kind: Callable[..., Head] = Head) -> Head:
        """Returns the head for features [B, feature_dim]."""
        return kind(
            feature_dim,
            num_classes=self.num_classes,
            projection=self.conditioning == "projection",
            auxiliary=self.auxiliary_sizes,
        )

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
    check_choice(name, legal, conditioning=conditioning)
    check_at_least(name, 0, num_classes=num_classes)
    if conditioning != "none" and num_classes < 1:
        raise ConfigError(
            f"{name}: conditioning={conditioning} needs labels, and data.num_classes is 0"
        )
