from __future__ import annotations

from typing import TypedDict

from torch import Tensor, nn

from ganforge.errors import ConfigError
from ganforge.networks.discriminator import check_conditioning
from ganforge.networks.layers.labels import one_hot, with_label
from ganforge.networks.layers.shapes import check_at_least, check_channels

CONDITIONINGS = ("none", "concatenation", "normalization")


class GeneratorArguments(TypedDict, total=False):
    """Arguments of every generator, except the shapes of images and latents."""

    num_classes: int
    conditioning: str


class Generator(nn.Module):
    """Base class of generators: maps latents, and optionally labels, to images.

    Args:
        image_size: side of the images.
        channels: C, 1 to 4.
        latent_dim: length of z.
        num_classes: number of classes; 0 for an unconditional network.
        conditioning: how labels enter: "none"; "concatenation" with the latent (Mirza & Osindero
            2014, arXiv:1411.1784); "normalization", where they set the norms' gains and biases
            (arXiv:1610.07629).
    """

    def __init__(
        self,
        image_size: int,
        channels: int,
        latent_dim: int,
        num_classes: int = 0,
        conditioning: str = "none",
    ) -> None:
        super().__init__()
        name = type(self).__name__
        check_at_least(name, 1, image_size=image_size, latent_dim=latent_dim)
        check_channels(name, channels)
        check_conditioning(name, conditioning, CONDITIONINGS, num_classes)
        self.image_size = image_size
        self.channels = channels
        self.latent_dim = latent_dim
        self.num_classes = num_classes
        self.conditioning = conditioning

    def refuse_conditional_norms(
        self, reason: str, advice: str = "condition=embedding, or condition=none"
    ) -> None:
        """Raises ConfigError for conditioning=normalization, in a network without such norms."""
        if self.conditioning == "normalization":
            raise ConfigError(
                f"{type(self).__name__}: conditioning=normalization needs a norm, but {reason}. "
                f"Use {advice}"
            )

    @property
    def label_dim(self) -> int:
        """Number of classes if labels are concatenated with the latent, otherwise 0."""
        return self.num_classes if self.conditioning == "concatenation" else 0

    @property
    def input_dim(self) -> int:
        """Input length of the first layer: the latent, plus the one-hot label if concatenated."""
        return self.latent_dim + self.label_dim

    @property
    def condition_dim(self) -> int:
        """Length of the condition of the norms; 0 for unconditional norms."""
        return self.num_classes if self.conditioning == "normalization" else 0

    def inputs(self, z: Tensor, labels: Tensor | None) -> Tensor:
        """Returns the input of the first layer, [B, input_dim]."""
        return with_label(z, labels, self.num_classes) if self.label_dim else z

    def condition(self, z: Tensor, labels: Tensor | None) -> Tensor | None:
        """Returns the condition of the norms, [B, condition_dim]; None for unconditional norms."""
        return one_hot(labels, self.num_classes, z) if self.condition_dim else None

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Returns images [B, C, H, W] in [-1, 1] of latents [B, latent_dim].

        Args:
            z: latents.
            labels: int64 [B], for a conditional generator.
        """
        raise NotImplementedError
