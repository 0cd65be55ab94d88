"""How labels get into a network together with what it works on."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ganforge.errors import ConfigError


def one_hot(labels: Tensor | None, num_classes: int, like: Tensor) -> Tensor:
    """Returns [B, num_classes] of 0 and 1 for labels [B], in the dtype of ``like``."""
    if labels is None:
        raise ConfigError("a conditional network needs the labels of its images")
    return F.one_hot(labels, num_classes).to(like.dtype)


def with_label(vectors: Tensor, labels: Tensor | None, num_classes: int) -> Tensor:
    """Returns [B, D + num_classes]: vectors [B, D] beside the label's one-hot code.

    Mirza & Osindero 2014, arXiv:1411.1784.
    """
    return torch.cat([vectors, one_hot(labels, num_classes, vectors)], dim=1)


def with_label_planes(images: Tensor, labels: Tensor | None, num_classes: int) -> Tensor:
    """Returns [B, C + num_classes, H, W]: images beside a plane for each class, 1 at the label's.

    The one-hot code of arXiv:1411.1784, repeated at every place for a convolution.
    """
    code = one_hot(labels, num_classes, images)[:, :, None, None]
    return torch.cat([images, code.expand(-1, -1, *images.shape[2:])], dim=1)
