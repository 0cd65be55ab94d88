"""Concatenation of labels, as one-hot codes, with the inputs of a network."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ganforge.errors import ConfigError


def required(labels: Tensor | None) -> Tensor:
    """Returns the labels; raises ConfigError if there are none."""
    if labels is None:
        raise ConfigError("a conditional network needs the labels of its images")
    return labels


def one_hot(labels: Tensor | None, num_classes: int, like: Tensor) -> Tensor:
    """Returns one-hot codes [B, num_classes] of labels [B], in the dtype of ``like``."""
    return F.one_hot(required(labels), num_classes).to(like.dtype)


def with_label(vectors: Tensor, labels: Tensor | None, num_classes: int) -> Tensor:
    """Returns [B, D + num_classes]: vectors [B, D], concatenated with the label's one-hot code.

    Mirza & Osindero 2014, arXiv:1411.1784.
    """
    return torch.cat([vectors, one_hot(labels, num_classes, vectors)], dim=1)


def with_label_planes(images: Tensor, labels: Tensor | None, num_classes: int) -> Tensor:
    """Returns [B, C + num_classes, H, W]: images and one plane per class, 1 for the label's class.

    The one-hot code of arXiv:1411.1784, repeated at every position for a convolution.
    """
    code = one_hot(labels, num_classes, images)[:, :, None, None]
    return torch.cat([images, code.expand(-1, -1, *images.shape[2:])], dim=1)
