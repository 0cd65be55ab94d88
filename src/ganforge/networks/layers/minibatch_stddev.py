from __future__ import annotations

import torch
from torch import Tensor, nn

from ganforge.errors import ConfigError

# Keeps the gradient of the square root finite if all images of a group are equal.
EPSILON = 1e-8


class MinibatchStddev(nn.Module):
    """Appends a channel with the standard deviation over a group of images.

    Karras et al. 2018, arXiv:1710.10196, in the grouped form of StyleGAN2 (arXiv:1912.04958): the
    standard deviation over a group, at each channel and position, averaged to one number, which
    fills a channel of each image of the group. It lets the discriminator detect a generator that
    repeats the same image.

    A group is ``group_size`` consecutive rows of the input of one forward pass: of one process and,
    with ``model.accumulate``, of one part. Images of different processes, or reals and fakes, never
    share a group. Since groups are consecutive, parts that hold whole groups give the same numbers
    as the undivided batch.

    Args:
        group_size: images per group, at least 2; a smaller batch is one group.
    """

    def __init__(self, group_size: int = 4) -> None:
        super().__init__()
        if group_size < 2:
            raise ConfigError(
                f"MinibatchStddev: group_size must be at least 2, got {group_size}: the images of "
                "a group are compared with each other"
            )
        self.group_size = group_size

    def forward(self, features: Tensor) -> Tensor:
        """Returns [B, C + 1, H, W] of features [B, C, H, W]."""
        self.check_rows(len(features))
        size = min(self.group_size, len(features))
        # Computed in float32: in half precision the squares of small differences underflow.
        groups = features.float().reshape(-1, size, *features.shape[1:])
        # On the CPU, Tensor.var of a few values each takes tens of times as long.
        variance = (groups - groups.mean(dim=1, keepdim=True)).square().mean(dim=1)
        spread = (variance + EPSILON).sqrt().mean(dim=(1, 2, 3))
        plane = spread.repeat_interleave(size)[:, None, None, None].to(features.dtype)
        return torch.cat([features, plane.expand(-1, 1, *features.shape[2:])], dim=1)

    def check_rows(self, rows: int) -> None:
        """Raises ConfigError if groups do not divide a batch of ``rows`` images."""
        if rows % min(self.group_size, rows):
            raise ConfigError(
                f"minibatch_stddev={self.group_size} does not divide a batch of {rows} images: set "
                "data.batch_size (for each process and part) to a multiple"
            )


def check_group_size(name: str, group_size: int) -> None:
    """Raises ConfigError unless the group size is 0 (no layer) or at least 2."""
    if group_size != 0 and group_size < 2:
        raise ConfigError(
            f"{name}: minibatch_stddev must be 0 (off) or at least 2, got {group_size}"
        )
