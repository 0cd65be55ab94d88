from __future__ import annotations

import itertools
from functools import partial

from torch import Tensor, nn

from ganforge.errors import ConfigError
from ganforge.networks.layers.initialization import initialize_normal, normalize_spectrum
from ganforge.networks.layers.normalization import (
    check_translation_norm,
    has_bias,
    translation_normalization,
)
from ganforge.networks.layers.shapes import check_at_least, doubling_widths

# Maximum channels of a layer, relative to the first layer.
WIDEST = 8


class PatchDiscriminator(nn.Module):
    """PatchGAN: a fully convolutional discriminator that returns one logit per image patch.

    Isola et al. 2017, arXiv:1611.07004, section 6.1.2: 4x4 convolutions with LeakyReLU 0.2, no norm
    in the first one; ``layers`` of stride 2, then two of stride 1. With 3 layers and batch norm on
    6 channels it is the original 70x70 network, with 2,768,705 parameters; with instance norm on 3
    channels it is that of CycleGAN (arXiv:1703.10593), with 2,764,737.

    Args:
        in_channels: C of the images.
        width: channels of the first layer; doubled with each layer, up to 8 times as many.
        layers: convolutions of stride 2. The patches are 16x16 (1), 34x34 (2), 70x70 (3), 142x142
            (4), 286x286 (5); 0 for the PixelGAN of 1x1 convolutions.
        norm: batch, instance or none.
        spectral_norm: apply spectral normalization (Miyato et al. 2018, arXiv:1802.05957).
        condition_channels: channels of the condition that is concatenated with the image; 0 for
            none.
        image_size: side of the training images; raises ConfigError if too small for ``layers``.

    Attributes:
        in_channels: input channels, image and condition together.
        receptive_field: side of the patch that one logit depends on.
        smallest: minimum height and width of the images.
    """

    def __init__(
        self,
        in_channels: int,
        width: int = 64,
        layers: int = 3,
        norm: str = "batch",
        spectral_norm: bool = False,
        condition_channels: int = 0,
        image_size: int | None = None,
    ) -> None:
        super().__init__()
        name = "PatchDiscriminator"
        check_at_least(name, 1, in_channels=in_channels, width=width)
        check_at_least(name, 0, layers=layers, condition_channels=condition_channels)
        check_translation_norm(name, norm)
        self.in_channels = in_channels + condition_channels
        self.receptive_field = receptive_field(layers)
        self.smallest = smallest_side(layers)
        self.layers = layers
        if image_size is not None:
            self._check_side(image_size)
        strides = patch_strides(layers)
        # Zero padding: 1 for a 4x4 kernel, which halves an even size exactly; 0 for a 1x1 kernel.
        kernel = kernel_size(layers)
        convolution = partial(nn.Conv2d, kernel_size=kernel, padding=1 if kernel > 1 else 0)
        widths = [self.in_channels, *doubling_widths(max(layers, 1) + 1, width, WIDEST * width)]
        blocks: list[nn.Module] = []
        for index, (a, b) in enumerate(itertools.pairwise(widths)):
            first = index == 0
            blocks += [
                convolution(a, b, stride=strides[index], bias=first or has_bias(norm)),
                *([] if first else translation_normalization(norm, b)),
                nn.LeakyReLU(0.2, inplace=True),
            ]
        self.hidden = nn.Sequential(*blocks)
        self.to_logits = convolution(widths[-1], 1, stride=strides[-1])
        initialize_normal(self)
        if spectral_norm:
            normalize_spectrum(self)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Returns raw logits [B, 1, h, w] of images [B, C, H, W] in [-1, 1], one per patch.

        Args:
            images: images, concatenated with the condition on the channel axis.
            labels: ignored.
        """
        logits: Tensor = self.to_logits(self._hidden_map(images))
        return logits

    def features(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Returns the spatial mean [B, F] of the last hidden layer, for images [B, C, H, W]."""
        return self._hidden_map(images).mean((2, 3))

    def _hidden_map(self, images: Tensor) -> Tensor:
        self._check_side(min(images.shape[-2:]))
        hidden: Tensor = self.hidden(images)
        return hidden

    def _check_side(self, side: int) -> None:
        if side >= self.smallest:
            return
        legal = [str(k) for k in range(self.layers) if smallest_side(k) <= side]
        raise ConfigError(
            f"PatchDiscriminator: layers={self.layers} needs images of at least {self.smallest} "
            f"pixels, got {side}; legal layers: {', '.join(legal) or 'none'}"
        )


def patch_strides(layers: int) -> list[int]:
    """Returns the strides of all convolutions, including the one to the logits."""
    return [2] * layers + [1, 1] if layers > 0 else [1, 1, 1]


def kernel_size(layers: int) -> int:
    """Returns the kernel size of all convolutions."""
    return 4 if layers > 0 else 1


def receptive_field(layers: int) -> int:
    """Returns the receptive field of one logit: r <- s (r - 1) + k, from r = 1 backwards."""
    side = 1
    for stride in reversed(patch_strides(layers)):
        side = stride * (side - 1) + kernel_size(layers)
    return side


def smallest_side(layers: int) -> int:
    """Returns the minimum image side that yields a logit."""
    if layers == 0:
        return 2  # instance norm needs more than one spatial position
    side = 1
    for stride in reversed(patch_strides(layers)):
        side = side + 1 if stride == 1 else side * stride
    return side
