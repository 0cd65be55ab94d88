from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Unpack

import torch
from torch import Tensor, nn

from ganforge.errors import ConfigError
from ganforge.networks.discriminator import Discriminator, DiscriminatorArguments
from ganforge.networks.generator import Generator, GeneratorArguments
from ganforge.networks.layers.initialization import initialize_he
from ganforge.networks.layers.labels import with_label
from ganforge.networks.layers.shapes import check_at_least, check_fraction


class MLPGenerator(Generator):
    """Fully connected generator, as in the first GAN.

    Goodfellow et al. 2014, arXiv:1406.2661, with leaky ReLU (slope 0 is the paper's ReLU) and tanh.

    Args:
        image_size: height and width of the images, any size.
        channels: 1 to 4.
        latent_dim: length of z.
        hidden: widths of the hidden layers.
        negative_slope: slope of the leaky ReLU below 0, in [0, 1).
        octaves: octaves of Fourier features of the latents (arXiv:2006.10739) in the input of the
            first layer; 0 for none. Intended for two-dimensional data with separated modes, between
            which the generator must change abruptly.
        **labels: see Generator; labels enter by concatenation.
    """

    def __init__(
        self,
        image_size: int,
        channels: int,
        latent_dim: int = 100,
        hidden: Sequence[int] = (256, 512, 1024),
        negative_slope: float = 0.2,
        octaves: int = 0,
        **labels: Unpack[GeneratorArguments],
    ) -> None:
        _check("MLPGenerator", hidden, negative_slope, octaves)
        super().__init__(image_size, channels, latent_dim, **labels)
        reason = "this network has no normalization that labels could steer"
        self.refuse_conditional_norms(reason, "condition=concatenation, or network=dcgan")
        self.encode = FourierFeatures(latent_dim, octaves, frequency=0.5)
        input_dim = self.encode.output_dim + self.label_dim
        self.hidden = _hidden_layers([input_dim, *hidden], negative_slope, dropout=0.0)
        self.to_image = nn.Linear(hidden[-1], channels * image_size**2)
        initialize_he(self, negative_slope)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Returns images [B, C, H, W] in [-1, 1] of latents [B, latent_dim], labels [B]."""
        if self.encode.octaves > 0:
            # erf maps N(0, 1) to U[-1, 1]: the waves need a bounded domain without sparse tails.
            z = self.encode(torch.erf(z / math.sqrt(2)))
        pixels = torch.tanh(self.to_image(self.hidden(self.inputs(z, labels))))
        return pixels.view(len(z), self.channels, self.image_size, self.image_size)


class MLPDiscriminator(Discriminator):
    """Fully connected discriminator, as in the first GAN.

    Goodfellow et al. 2014, arXiv:1406.2661, with leaky ReLU in place of maxout.

    Args:
        image_size: height and width of the images, any size.
        channels: 1 to 4.
        hidden: widths of the hidden layers.
        negative_slope: slope of the leaky ReLU below 0, in [0, 1).
        dropout: probability of dropping a hidden unit in training, in [0, 1). It draws from
            PyTorch's global generator.
        octaves: octaves of Fourier features of the pixels (arXiv:2006.10739) in the input of the
            first layer; 0 for none. Intended for two-dimensional data with narrow modes.
        **arguments: see Discriminator.
    """

    def __init__(
        self,
        image_size: int,
        channels: int,
        hidden: Sequence[int] = (1024, 512, 256),
        negative_slope: float = 0.2,
        dropout: float = 0.0,
        octaves: int = 0,
        **arguments: Unpack[DiscriminatorArguments],
    ) -> None:
        _check("MLPDiscriminator", hidden, negative_slope, octaves)
        super().__init__(image_size, channels, **arguments)
        check_fraction("MLPDiscriminator", dropout=dropout)
        self.encode = FourierFeatures(channels * self.packing * image_size**2, octaves)
        sizes = [self.encode.output_dim + self.label_dim, *hidden]
        self.hidden = _hidden_layers(sizes, negative_slope, dropout)
        self.head = self.make_head(hidden[-1])
        initialize_he(self, negative_slope)

    def features(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Returns the last hidden layer [B, F] of images [B, packing * C, H, W]."""
        pixels = self.encode(images.flatten(1))
        if self.label_dim:
            pixels = with_label(pixels, labels, self.num_classes)
        features: Tensor = self.hidden(pixels)
        return features


class FourierFeatures(nn.Module):
    """Fourier features: sines and cosines of coordinates, which help to fit fine details.

    Tancik et al. 2020, arXiv:2006.10739: fully connected layers learn low frequencies first, and
    details of a hundredth of the coordinates' range very late. Frequencies are octaves, as in NeRF
    (Mildenhall et al. 2020, arXiv:2003.08934):  x, sin(f 2^k x), cos(f 2^k x)  for
    k = 0 ... octaves - 1.

    Args:
        dim: D, length of the vectors.
        octaves: number of octaves; 0 returns the vectors unchanged.
        frequency: f of the lowest octave, in radians per unit.
    """

    frequencies: Tensor

    def __init__(self, dim: int, octaves: int, frequency: float = math.pi) -> None:
        super().__init__()
        self.octaves = octaves
        self.output_dim = dim * (1 + 2 * octaves)
        frequencies = frequency * 2.0 ** torch.arange(octaves)
        self.register_buffer("frequencies", frequencies, persistent=False)

    def forward(self, vectors: Tensor) -> Tensor:
        """Returns [B, D (1 + 2 octaves)] of vectors [B, D]."""
        if self.octaves == 0:
            return vectors
        phases = (vectors[..., None] * self.frequencies).flatten(1)
        return torch.cat([vectors, phases.sin(), phases.cos()], dim=1)


def _hidden_layers(sizes: Sequence[int], negative_slope: float, dropout: float) -> nn.Sequential:
    layers: list[nn.Module] = []
    for size_in, size_out in itertools.pairwise(sizes):
        layers += [nn.Linear(size_in, size_out), nn.LeakyReLU(negative_slope, inplace=True)]
        if dropout > 0:
            layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers)


def _check(name: str, hidden: Sequence[int], negative_slope: float, octaves: int) -> None:
    check_at_least(name, 0, octaves=octaves)
    if not hidden or min(hidden) < 1:
        raise ConfigError(f"{name}: hidden must list widths of at least 1, got {list(hidden)}")
    check_fraction(name, negative_slope=negative_slope)
