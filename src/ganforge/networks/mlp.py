from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ganforge.errors import ConfigError
from ganforge.networks.initialization import initialize_he
from ganforge.networks.shapes import check_channels, check_positive


class MLPGenerator(nn.Module):
    """Fully connected layers from latents to pixels, as in the first GAN.

    Goodfellow et al. 2014, arXiv:1406.2661, with leaky ReLU (0 is the paper's ReLU) and tanh.

    Args:
        image_size: height and width of the images, any size.
        channels: 1 to 4.
        latent_dim: length of z.
        hidden: widths of the hidden layers.
        negative_slope: slope of the leaky ReLU below 0, in [0, 1).
    """

    def __init__(
        self,
        image_size: int,
        channels: int,
        latent_dim: int = 100,
        hidden: Sequence[int] = (256, 512, 1024),
        negative_slope: float = 0.2,
    ) -> None:
        super().__init__()
        _check("MLPGenerator", image_size, channels, hidden, negative_slope)
        check_positive("MLPGenerator", "latent_dim", latent_dim)
        self.image_size = image_size
        self.channels = channels
        self.latent_dim = latent_dim
        self.hidden = _hidden_layers([latent_dim, *hidden], negative_slope, dropout=0.0)
        self.to_image = nn.Linear(hidden[-1], channels * image_size**2)
        initialize_he(self, negative_slope)

    def forward(self, z: Tensor) -> Tensor:
        """Returns images [B, C, H, W] in [-1, 1] of latents [B, latent_dim]."""
        pixels = torch.tanh(self.to_image(self.hidden(z)))
        return pixels.view(len(z), self.channels, self.image_size, self.image_size)


class MLPDiscriminator(nn.Module):
    """Fully connected layers from pixels to a logit, as in the first GAN.

    Goodfellow et al. 2014, arXiv:1406.2661, with leaky ReLU in place of maxout.

    Args:
        image_size: height and width of the images, any size.
        channels: 1 to 4.
        hidden: widths of the hidden layers.
        negative_slope: slope of the leaky ReLU below 0, in [0, 1).
        dropout: share of hidden units dropped in training, in [0, 1). It draws from torch's global
            generator.
    """

    def __init__(
        self,
        image_size: int,
        channels: int,
        hidden: Sequence[int] = (1024, 512, 256),
        negative_slope: float = 0.2,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        _check("MLPDiscriminator", image_size, channels, hidden, negative_slope)
        if not 0 <= dropout < 1:
            raise ConfigError(f"MLPDiscriminator: dropout must be in [0, 1), got {dropout}")
        self.image_size = image_size
        self.channels = channels
        sizes = [channels * image_size**2, *hidden]
        self.hidden = _hidden_layers(sizes, negative_slope, dropout)
        self.judge = nn.Linear(hidden[-1], 1)
        initialize_he(self, negative_slope)

    def forward(self, images: Tensor) -> Tensor:
        """Returns raw logits [B] of images [B, C, H, W] in [-1, 1]."""
        logits: Tensor = self.judge(self.hidden(images.flatten(1)))
        return logits.view(len(images))


def _hidden_layers(sizes: Sequence[int], negative_slope: float, dropout: float) -> nn.Sequential:
    layers: list[nn.Module] = []
    for size_in, size_out in itertools.pairwise(sizes):
        layers += [nn.Linear(size_in, size_out), nn.LeakyReLU(negative_slope, inplace=True)]
        if dropout > 0:
            layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers)


def _check(
    name: str, image_size: int, channels: int, hidden: Sequence[int], negative_slope: float
) -> None:
    check_positive(name, "image_size", image_size)
    check_channels(name, channels)
    if not hidden or min(hidden) < 1:
        raise ConfigError(f"{name}: hidden must list widths of at least 1, got {list(hidden)}")
    if not 0 <= negative_slope < 1:
        raise ConfigError(f"{name}: negative_slope must be in [0, 1), got {negative_slope}")
