from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import partial
from typing import Unpack

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganforge.errors import ConfigError
from ganforge.networks.discriminator import Discriminator, DiscriminatorArguments
from ganforge.networks.generator import Generator, GeneratorArguments
from ganforge.networks.layers.attention import attention_layers
from ganforge.networks.layers.blocks import NormReLU, UpResidualBlock
from ganforge.networks.layers.initialization import (
    initialize_weights,
    normalize_spectrum,
    weighted_layers,
)
from ganforge.networks.layers.labels import one_hot, required
from ganforge.networks.layers.shapes import (
    check_at_least,
    check_choice,
    check_image_size,
    powers_of_two,
)
from ganforge.networks.layers.spectral_norm import normalize_weight

# Channels in multiples of the width, by image size. Generator: at 4x4 and after each block.
UP = {
    16: [4, 4, 4],
    32: [4, 4, 4, 4],
    64: [16, 16, 8, 4, 2],
    128: [16, 16, 8, 4, 2, 1],
    256: [16, 16, 8, 8, 4, 2, 1],
}
# Discriminator: after each block. The first HALVINGS blocks halve the resolution.
DOWN = {
    16: [4, 4, 4, 4],
    32: [4, 4, 4, 4],
    64: [1, 2, 4, 8, 16],
    128: [1, 2, 4, 8, 16, 16],
    256: [1, 2, 4, 8, 8, 16, 16],
}
HALVINGS = {16: 2, 32: 2, 64: 4, 128: 5, 256: 6}
# Orthogonal matrices [C_out, all other dimensions]: Saxe et al. 2014, arXiv:1312.6120.
INITIALIZATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "orthogonal": nn.init.orthogonal_,
    "normal": partial(nn.init.normal_, std=0.02),
}


class BigGANGenerator(Generator):
    """Residual generator, conditioned on chunks of the latent and a shared label embedding.

    Brock et al. 2019, arXiv:1809.11096. The latent is split into chunks of equal length (the first
    one takes the remainder): one for the first layer and one for each block. A block's chunk and
    the label embedding are concatenated and set the gains and biases of its norms. For 1000 classes
    at 128x128x3, width 96, latent_dim 120 and attention at 64 it has 70,433,988 parameters, as
    reported by google/compare_gan. At 32x32 the authors' PyTorch code has neither chunks nor
    embedding: 4,304,387 parameters at width 64, latent_dim 128 and 10 classes.

    Args:
        image_size: 16, 32, 64, 128 or 256.
        channels: 1 to 4.
        latent_dim: length of z.
        width: base number of channels (the paper's ch).
        hierarchical: whether each block gets a chunk of z; otherwise the first layer gets all of z.
        shared_dim: length of the label embedding shared by all blocks; 0 gives each norm a separate
            gain and bias per class.
        attention: resolutions with self-attention after the block that reaches them.
        spectral_norm: apply spectral normalization, also to the layers that condition norms.
        initialization: orthogonal, or normal: N(0, 0.02).
        **labels: see Generator.
    """

    def __init__(
        self,
        image_size: int,
        channels: int,
        latent_dim: int = 120,
        width: int = 96,
        hierarchical: bool = True,
        shared_dim: int = 128,
        attention: Sequence[int] = (),
        spectral_norm: bool = True,
        initialization: str = "orthogonal",
        **labels: Unpack[GeneratorArguments],
    ) -> None:
        _check("BigGANGenerator", image_size, width, initialization)
        super().__init__(image_size, channels, latent_dim, **labels)
        widths = [width * multiple for multiple in UP[image_size]]
        sides = [8 << block for block in range(len(widths) - 1)]
        self.chunk = self._chunk_length(len(sides)) if hierarchical else 0
        embedded = self.conditioning == "normalization" and shared_dim > 0
        self.embedding = nn.Embedding(self.num_classes, shared_dim) if embedded else None
        first = latent_dim - self.chunk * len(sides)
        self.project = nn.Linear(first + self.label_dim, widths[0] * 16)
        self.blocks = nn.ModuleList(
            UpResidualBlock(a, b, "batch", self.condition_dim)
            for a, b in itertools.pairwise(widths)
        )
        self.attention = attention_layers(
            "BigGANGenerator", attention, image_size, sides, widths[1:]
        )
        self.norm = NormReLU(widths[-1], "batch")
        self.to_image = nn.Conv2d(widths[-1], channels, 3, padding=1)
        initialize_weights(self, INITIALIZATIONS[initialization])
        if spectral_norm:
            # As the authors do: with the layers that condition norms, without the embedding.
            for layer in weighted_layers(self).values():
                if not isinstance(layer, nn.Embedding):
                    normalize_weight(layer)

    def _chunk_length(self, blocks: int) -> int:
        if self.latent_dim <= blocks:
            raise ConfigError(
                f"BigGANGenerator: latent_dim must be at least {blocks + 1}, one for the first "
                f"layer and each of {blocks} blocks; got {self.latent_dim}. Or hierarchical=false"
            )
        return self.latent_dim // (blocks + 1)

    @property
    def condition_dim(self) -> int:
        """Length of the condition of each block's norms: the label code and a chunk of z."""
        if self.embedding is not None:
            return self.embedding.embedding_dim + self.chunk
        return super().condition_dim + self.chunk

    def label_code(self, z: Tensor, labels: Tensor | None) -> list[Tensor]:
        """Returns the label code shared by all blocks: a list of one tensor [B, S], or empty."""
        if self.conditioning != "normalization":
            return []
        if self.embedding is None:
            return [one_hot(labels, self.num_classes, z)]
        return [self.embedding(required(labels))]

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Returns images [B, C, H, W] in [-1, 1] of latents [B, latent_dim], labels [B]."""
        blocks = len(self.blocks)
        lengths = [self.latent_dim - blocks * self.chunk, *[self.chunk] * blocks]
        first, *chunks = torch.split(z, lengths, dim=1)
        code = self.label_code(z, labels)
        features = self.project(self.inputs(first, labels)).unflatten(1, (-1, 4, 4))
        for index, (block, chunk) in enumerate(zip(self.blocks, chunks, strict=True)):
            features = block(features, torch.cat([*code, chunk], dim=1))
            features = self.attention.after(index, features)
        return torch.tanh(self.to_image(self.norm(features)))


class BigGANDiscriminator(Discriminator):
    """Residual discriminator with global sum pooling and label projection.

    Brock et al. 2019, arXiv:1809.11096. For 1000 classes at 128x128x3, width 96 and attention at
    64 it has 87,982,370 parameters, as reported by google/compare_gan; at 32x32 with width 64 and
    10 classes it has 4,207,361.

    Args:
        image_size: 16, 32, 64, 128 or 256.
        channels: 1 to 4.
        width: base number of channels (the paper's ch).
        attention: resolutions with self-attention after the first block that reaches them.
        spectral_norm: apply spectral normalization.
        initialization: orthogonal, or normal: N(0, 0.02).
        **arguments: see Discriminator.
    """

    def __init__(
        self,
        image_size: int,
        channels: int,
        width: int = 96,
        attention: Sequence[int] = (),
        spectral_norm: bool = True,
        initialization: str = "orthogonal",
        **arguments: Unpack[DiscriminatorArguments],
    ) -> None:
        _check("BigGANDiscriminator", image_size, width, initialization)
        super().__init__(image_size, channels, **arguments)
        widths = [width * multiple for multiple in DOWN[image_size]]
        halvings = HALVINGS[image_size]
        self.blocks = nn.ModuleList(
            BigGANDownBlock(a, b, down=index < halvings, first=index == 0)
            for index, (a, b) in enumerate(itertools.pairwise([self.input_channels, *widths]))
        )
        sides = [image_size >> min(index + 1, halvings) for index in range(len(widths))]
        self.attention = attention_layers(
            "BigGANDiscriminator", attention, image_size, sides, widths
        )
        self.head = self.make_head(widths[-1])
        initialize_weights(self, INITIALIZATIONS[initialization])
        if spectral_norm:
            normalize_spectrum(self)

    def features(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Returns the sum-pooled features [B, F] of images [B, packing * C, H, W]."""
        features = self.join_labels(images, labels)
        for index, block in enumerate(self.blocks):
            features = self.attention.after(index, block(features))
        return F.relu(features).sum(dim=(2, 3))


class BigGANDownBlock(nn.Module):
    """Residual block that halves the resolution: [B, C, H, W] -> [B, C', H/2, W/2], or keeps it.

    Brock et al. 2019, arXiv:1809.11096, figure 15. Unlike in SNGAN's block, the channels change in
    the first convolution.

    ReLU, 3x3 convolution, ReLU, 3x3 convolution, 2x2 mean pooling; plus a shortcut of a 1x1
    convolution and mean pooling. If neither size nor channels change, the shortcut is the identity.
    The first block gets no first ReLU: its input is an image.
    """

    def __init__(
        self, channels_in: int, channels_out: int, down: bool, first: bool = False
    ) -> None:
        super().__init__()
        self.down = down
        self.activate = not first
        self.first = nn.Conv2d(channels_in, channels_out, 3, padding=1)
        self.second = nn.Conv2d(channels_out, channels_out, 3, padding=1)
        changes = down or channels_in != channels_out
        self.shortcut = nn.Conv2d(channels_in, channels_out, 1) if changes else nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        """Returns [B, C', H/2, W/2], or [B, C', H, W], of features [B, C, H, W]."""
        residual = self.first(F.relu(features) if self.activate else features)
        residual = self.second(F.relu(residual))
        together: Tensor = residual + self.shortcut(features)
        return F.avg_pool2d(together, 2) if self.down else together


def _check(name: str, image_size: int, width: int, initialization: str) -> None:
    check_image_size(name, image_size, powers_of_two(16, 256))
    check_at_least(name, 1, width=width)
    check_choice(name, INITIALIZATIONS, initialization=initialization)
