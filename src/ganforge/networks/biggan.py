from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm as normalize_weight

from ganforge.errors import ConfigError
from ganforge.networks.biggan_blocks import BigGANDownBlock
from ganforge.networks.discriminator import Discriminator
from ganforge.networks.generator import Generator
from ganforge.networks.layers.attention import attention_layers
from ganforge.networks.layers.convolution_blocks import NormReLU
from ganforge.networks.layers.labels import one_hot, with_label_planes
from ganforge.networks.layers.residual_blocks import UpResidualBlock
from ganforge.networks.layers.shapes import check_positive, check_power_of_two
from ganforge.networks.layers.spectral_normalization import normalize_spectrum
from ganforge.networks.orthogonal_initialization import initialize_orthogonal, initialize_weights

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
INITIALIZATIONS: dict[str, Callable[[nn.Module], None]] = {
    "orthogonal": initialize_orthogonal,
    "normal": partial(initialize_weights, draw=partial(nn.init.normal_, std=0.02)),
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
        num_classes: number of classes; 0 for an unconditional network.
        conditioning: how labels enter: none, concatenation or normalization.
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
        num_classes: int = 0,
        conditioning: str = "none",
    ) -> None:
        _check("BigGANGenerator", image_size, width, initialization)
        super().__init__(image_size, channels, latent_dim, num_classes, conditioning)
        widths = [width * multiple for multiple in UP[image_size]]
        sides = [8 << block for block in range(len(widths) - 1)]
        self.chunk = self._chunk_length(len(sides)) if hierarchical else 0
        embedded = conditioning == "normalization" and shared_dim > 0
        self.embedding = nn.Embedding(num_classes, shared_dim) if embedded else None
        beside = num_classes if conditioning == "concatenation" else 0
        first = latent_dim - self.chunk * len(sides)
        self.project = nn.Linear(first + beside, widths[0] * 16)
        self.blocks = nn.ModuleList(
            UpResidualBlock(a, b, "batch", self.condition_dim)
            for a, b in itertools.pairwise(widths)
        )
        self.attention = attention_layers(
            "BigGANGenerator", attention, image_size, sides, widths[1:]
        )
        self.norm = NormReLU(widths[-1], "batch")
        self.to_image = nn.Conv2d(widths[-1], channels, 3, padding=1)
        INITIALIZATIONS[initialization](self)
        if spectral_norm:
            _normalize_generator(self)

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
        if labels is None:
            raise ConfigError("a conditional network needs the labels of its images")
        return [self.embedding(labels)]

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
        num_classes: number of classes; 0 for an unconditional network.
        conditioning: how labels enter: none, concatenation or projection.
        auxiliary: lengths of the auxiliary outputs.
        packing: images per input (PacGAN, arXiv:1712.04086).
    """

    def __init__(
        self,
        image_size: int,
        channels: int,
        width: int = 96,
        attention: Sequence[int] = (),
        spectral_norm: bool = True,
        initialization: str = "orthogonal",
        num_classes: int = 0,
        conditioning: str = "none",
        auxiliary: Sequence[int] = (),
        packing: int = 1,
    ) -> None:
        _check("BigGANDiscriminator", image_size, width, initialization)
        super().__init__(image_size, channels, num_classes, conditioning, auxiliary, packing)
        planes = num_classes if conditioning == "concatenation" else 0
        widths = [width * multiple for multiple in DOWN[image_size]]
        halvings = HALVINGS[image_size]
        self.blocks = nn.ModuleList(
            BigGANDownBlock(a, b, down=index < halvings, first=index == 0)
            for index, (a, b) in enumerate(itertools.pairwise([self.inputs + planes, *widths]))
        )
        sides = [image_size >> min(index + 1, halvings) for index in range(len(widths))]
        self.attention = attention_layers(
            "BigGANDiscriminator", attention, image_size, sides, widths
        )
        self.head = self.make_head(widths[-1])
        INITIALIZATIONS[initialization](self)
        if spectral_norm:
            normalize_spectrum(self)

    def features(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Returns the sum-pooled features [B, F] of images [B, packing * C, H, W]."""
        if self.conditioning == "concatenation":
            images = with_label_planes(images, labels, self.num_classes)
        features = images
        for index, block in enumerate(self.blocks):
            features = self.attention.after(index, block(features))
        return F.relu(features).sum(dim=(2, 3))


def _normalize_generator(generator: BigGANGenerator) -> None:
    """Applies spectral normalization to all layers except the embedding, as the authors do.

    Unlike :func:`~ganforge.networks.layers.spectral_normalization.normalize_spectrum`, it includes
    the layers that condition norms.
    """
    for module in list(generator.modules()):
        if isinstance(module, (nn.Linear, nn.Conv2d)):
            normalize_weight(module)


def _check(name: str, image_size: int, width: int, initialization: str) -> None:
    check_power_of_two(name, image_size, 16, 256)
    check_positive(name, "width", width)
    if initialization not in INITIALIZATIONS:
        raise ConfigError(
            f"{name}: initialization must be one of {', '.join(INITIALIZATIONS)}; "
            f"got {initialization!r}"
        )
