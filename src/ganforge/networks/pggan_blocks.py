"""Building blocks of PGGAN (Karras et al. 2018, arXiv:1710.10196, table 2)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganforge.errors import ConfigError
from ganforge.networks.layers.equalized import HE_GAIN, EqualizedConv2d, EqualizedLinear
from ganforge.networks.layers.head import Head
from ganforge.networks.layers.minibatch_stddev import MinibatchStddev
from ganforge.networks.layers.pixel_norm import pixel_norm
from ganforge.networks.layers.progressive import double, halve

SLOPE = 0.2


def convolution(channels_in: int, channels_out: int, kernel_size: int = 3) -> EqualizedConv2d:
    """Returns a size-preserving equalized convolution, with the gain for a following LeakyReLU."""
    return EqualizedConv2d(channels_in, channels_out, kernel_size, gain=HE_GAIN)


def activated(features: Tensor) -> Tensor:
    """Returns the features after LeakyReLU 0.2."""
    return F.leaky_relu(features, SLOPE)


def normalized(features: Tensor) -> Tensor:
    """Returns features [B, C, H, W] after LeakyReLU and pixel normalization."""
    return pixel_norm(activated(features))


class FirstBlock(nn.Module):
    """Latents to 4x4 features: a 4x4 convolution of the latent as a 1x1 image, then a 3x3 one.

    Args:
        input_dim: length of the latent and of anything concatenated with it.
        channels: C.
    """

    def __init__(self, input_dim: int, channels: int) -> None:
        super().__init__()
        self.spread = EqualizedConv2d(input_dim, channels, 4, gain=HE_GAIN, padding=3)
        self.convolution = convolution(channels, channels)

    def forward(self, latents: Tensor) -> Tensor:
        """Returns [B, C, 4, 4] of latents [B, D]."""
        features = normalized(self.spread(latents[:, :, None, None]))
        return normalized(self.convolution(features))


class DoublingBlock(nn.Module):
    """Upsampling by 2, then two 3x3 convolutions with pixel normalization.

    Args:
        channels_in: C.
        channels_out: C'.
    """

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.first = convolution(channels_in, channels_out)
        self.second = convolution(channels_out, channels_out)

    def forward(self, features: Tensor) -> Tensor:
        """Returns [B, C', 2H, 2W] of features [B, C, H, W]."""
        return normalized(self.second(normalized(self.first(double(features)))))


class HalvingBlock(nn.Module):
    """Two 3x3 convolutions, then downsampling by 2.

    Args:
        channels_in: C.
        channels_out: C'.
    """

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.first = convolution(channels_in, channels_in)
        self.second = convolution(channels_in, channels_out)

    def forward(self, features: Tensor) -> Tensor:
        """Returns [B, C', H/2, W/2] of features [B, C, H, W]."""
        return halve(activated(self.second(activated(self.first(features)))))


class LastBlock(nn.Module):
    """4x4 features to a vector: minibatch stddev, a 3x3 convolution, then a 4x4 convolution.

    Args:
        channels: C.
        minibatch_stddev: group size of the minibatch standard deviation; 0 for none.
    """

    def __init__(self, channels: int, minibatch_stddev: int) -> None:
        super().__init__()
        self.spread = MinibatchStddev(minibatch_stddev) if minibatch_stddev else nn.Identity()
        self.convolution = convolution(channels + bool(minibatch_stddev), channels)
        self.gather = EqualizedConv2d(channels, channels, 4, gain=HE_GAIN, padding=0)

    def forward(self, features: Tensor) -> Tensor:
        """Returns [B, C] of features [B, C, 4, 4]."""
        mixed = activated(self.convolution(self.spread(features)))
        return activated(self.gather(mixed)).flatten(1)


class EqualizedHead(Head):
    """Head with equalized learning rate.

    Args:
        feature_dim: F.
        num_classes: number of classes of the projection; 0 without one.
        projection: add the inner product with the label embedding, divided by sqrt(F).
        auxiliary: lengths of the auxiliary outputs, all linear in the features.
    """

    def __init__(
        self,
        feature_dim: int,
        num_classes: int = 0,
        projection: bool = False,
        auxiliary: Sequence[int] = (),
    ) -> None:
        super().__init__(feature_dim, num_classes, projection, auxiliary)
        # Replaces the plain linear layers of the base class; they are called in the same way.
        self.logit = EqualizedLinear(feature_dim, 1)  # type: ignore[assignment]
        if self.auxiliary is not None:
            further = EqualizedLinear(feature_dim, self.auxiliary_dim)
            self.auxiliary = further  # type: ignore[assignment]

    def forward(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        """Returns raw logits [B] of features [B, F]; ``labels`` [B] int64 for a projection."""
        logits: Tensor = self.logit(features).squeeze(1)
        if self.embedding is None:
            return logits
        if labels is None:
            raise ConfigError("a projection discriminator needs the labels of its images")
        similar = torch.sum(self.embedding(labels) * features, dim=1)
        return logits + similar / math.sqrt(self.feature_dim)
