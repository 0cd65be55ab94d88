from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class BigGANDownBlock(nn.Module):
    """Residual block that halves the resolution: [B, C, H, W] -> [B, C', H/2, W/2], or keeps it.

    Brock et al. 2019, arXiv:1809.11096, figure 15. Unlike in SNGAN's block, the channels change in
    the first convolution.

    ReLU, 3x3 convolution, ReLU, 3x3 convolution, 2x2 mean pooling; plus a shortcut of a 1x1
    convolution and mean pooling. If neither size nor channels change, the shortcut is the identity.

    Args:
        channels_in: C.
        channels_out: C'.
        down: halve the resolution.
        first: whether the input is an image, which gets no ReLU.
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
