from __future__ import annotations

import torch
from torch import Tensor, nn

from ganforge.errors import ConfigError

# Keeps the square root's slope finite where all images of a group agree.
EPSILON = 1e-8


class MinibatchStddev(nn.Module):
    """Shows a discriminator how much the images of a group differ: one more channel.

    Karras et al. 2018, arXiv:1710.10196, in the grouped form of StyleGAN2 (arXiv:1912.04958): the
    standard deviation over a group, at each channel and place, averaged to one number, which fills
    a channel of each of the group's images. A generator that makes the same image again and again
    is told by it.

    A group is ``group_size`` consecutive rows of what one forward pass gets: of one process and,
    with ``model.accumulate``, of one part. Images of different processes, or reals and fakes, never
    share a group; and as groups are consecutive, parts that hold whole groups give the same numbers
    as the undivided batch.

    Args:
        group_size: images of a group, at least 2; smaller batches are one group.
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
        size = min(self.group_size, len(features))
        if len(features) % size:
            raise ConfigError(
                f"minibatch_stddev={self.group_size} does not divide a batch of {len(features)} "
                "images: set data.batch_size (for each process and part) to a multiple"
            )
        # In half precision the squares of small differences underflow.
        groups = features.float().reshape(-1, size, *features.shape[1:])
        spread = (groups.var(dim=1, correction=0) + EPSILON).sqrt().mean(dim=(1, 2, 3))
        plane = spread.repeat_interleave(size)[:, None, None, None].to(features.dtype)
        return torch.cat([features, plane.expand(-1, 1, *features.shape[2:])], dim=1)


def check_group_size(name: str, group_size: int) -> None:
    """Refuses what is neither 0, for no layer, nor a group of images that can differ."""
    if group_size != 0 and group_size < 2:
        raise ConfigError(
            f"{name}: minibatch_stddev must be 0 (off) or at least 2, got {group_size}"
        )
