from __future__ import annotations

from torch import Tensor, nn

from ganforge.errors import ConfigError
from ganforge.networks.layers.shapes import check_positive


class Translator(nn.Module):
    """Base class of translators, which map images to images.

    Args:
        in_channels: C of the input images.
        out_channels: C of the output images.
        multiple: height and width must be multiples of this.
        stochastic: whether an output depends on random draws or on the other images of the batch,
            also in evaluation.

    Attributes:
        in_channels: as above.
        out_channels: as above.
        multiple: as above.
        stochastic: as above.
        smallest: minimum height and width, a multiple of ``multiple``.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        multiple: int,
        stochastic: bool,
        smallest: int | None = None,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        check_positive(name, "in_channels", in_channels)
        check_positive(name, "out_channels", out_channels)
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.multiple = multiple
        self.stochastic = stochastic
        self.smallest = multiple if smallest is None else smallest

    def check_images(self, images: Tensor) -> None:
        """Raises ConfigError for images [B, C, H, W] with an unsupported height or width."""
        self.check_sides(*images.shape[-2:])

    def check_sides(self, height: int, width: int) -> None:
        """Raises ConfigError unless height and width are large enough multiples of ``multiple``."""
        if height % self.multiple or width % self.multiple or min(height, width) < self.smallest:
            raise ConfigError(
                f"{type(self).__name__}: height and width must be multiples of {self.multiple}, "
                f"and at least {self.smallest}; got {height}x{width}"
            )
