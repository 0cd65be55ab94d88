from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ganforge.errors import ConfigError
from ganforge.networks.discriminator import Discriminator
from ganforge.networks.generator import Generator
from ganforge.networks.layers.fourier_features import FourierFeatures
from ganforge.networks.layers.initialization import initialize_he
from ganforge.networks.layers.labels import with_label


class MLPGenerator(Generator):
    """Fully connected generator, as in the first GAN.

    Goodfellow et al. 2014, arXiv:1406.2661, with leaky ReLU (slope 0 is the paper's ReLU) and tanh.

    Args:
        image_size: height and width of the images, any size.
        channels: 1 to 4.
        latent_dim: length of z.
        hidden: widths of the hidden layers.
        negative_slope: slope of the leaky ReLU below 0, in [0, 1).
        num_classes: number of classes; 0 for an unconditional network.
        conditioning: how labels enter: none or concatenation.
        octaves: octaves of Fourier features of the latents (arXiv:2006.10739) in the input of the
            first layer; 0 for none. Intended for two-dimensional data with separated modes, between
            which the generator must change abruptly.
    """

    def __init__(
        self,
        image_size: int,
        channels: int,
        latent_dim: int = 100,
        hidden: Sequence[int] = (256, 512, 1024),
        negative_slope: float = 0.2,
        num_classes: int = 0,
        conditioning: str = "none",
        octaves: int = 0,
    ) -> None:
        _check("MLPGenerator", hidden, negative_slope, octaves)
        super().__init__(image_size, channels, latent_dim, num_classes, conditioning)
        if conditioning == "normalization":
            raise ConfigError(
                "MLPGenerator has no normalization that labels could steer. Take "
                "condition=concatenation, or network=dcgan"
            )
        self.encode = FourierFeatures(latent_dim, octaves, frequency=0.5)
        input_dim = self.encode.output_dim + self.input_dim - latent_dim
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
        num_classes: number of classes; 0 for an unconditional network.
        conditioning: how labels enter: none, concatenation or projection.
        auxiliary: lengths of the auxiliary outputs.
        packing: images per input (PacGAN, arXiv:1712.04086).
        octaves: octaves of Fourier features of the pixels (arXiv:2006.10739) in the input of the
            first layer; 0 for none. Intended for two-dimensional data with narrow modes.
    """

    def __init__(
        self,
        image_size: int,
        channels: int,
        hidden: Sequence[int] = (1024, 512, 256),
        negative_slope: float = 0.2,
        dropout: float = 0.0,
        num_classes: int = 0,
        conditioning: str = "none",
        auxiliary: Sequence[int] = (),
        packing: int = 1,
        octaves: int = 0,
    ) -> None:
        _check("MLPDiscriminator", hidden, negative_slope, octaves)
        super().__init__(image_size, channels, num_classes, conditioning, auxiliary, packing)
        if not 0 <= dropout < 1:
            raise ConfigError(f"MLPDiscriminator: dropout must be in [0, 1), got {dropout}")
        code = num_classes if conditioning == "concatenation" else 0
        self.encode = FourierFeatures(self.inputs * image_size**2, octaves)
        sizes = [self.encode.output_dim + code, *hidden]
        self.hidden = _hidden_layers(sizes, negative_slope, dropout)
        self.head = self.make_head(hidden[-1])
        initialize_he(self, negative_slope)

    def features(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Returns the last hidden layer [B, F] of images [B, packing * C, H, W]."""
        pixels = self.encode(images.flatten(1))
        if self.conditioning == "concatenation":
            pixels = with_label(pixels, labels, self.num_classes)
        features: Tensor = self.hidden(pixels)
        return features


def _hidden_layers(sizes: Sequence[int], negative_slope: float, dropout: float) -> nn.Sequential:
    layers: list[nn.Module] = []
    for size_in, size_out in itertools.pairwise(sizes):
        layers += [nn.Linear(size_in, size_out), nn.LeakyReLU(negative_slope, inplace=True)]
        if dropout > 0:
            layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers)


def _check(name: str, hidden: Sequence[int], negative_slope: float, octaves: int) -> None:
    if octaves < 0:
        raise ConfigError(f"{name}: octaves must be at least 0, got {octaves}")
    if not hidden or min(hidden) < 1:
        raise ConfigError(f"{name}: hidden must list widths of at least 1, got {list(hidden)}")
    if not 0 <= negative_slope < 1:
        raise ConfigError(f"{name}: negative_slope must be in [0, 1), got {negative_slope}")
