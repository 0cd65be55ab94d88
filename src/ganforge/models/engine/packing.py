from __future__ import annotations

from torch import Tensor

from ganforge.errors import ConfigError


def pack(images: Tensor, packing: int) -> Tensor:
    """Returns [B / m, m C, H, W]: m consecutive images per row, concatenated on the channels."""
    if packing == 1:
        return images
    if len(images) % packing:
        raise ConfigError(
            f"model.packing={packing} does not divide a batch of {len(images)} images: set "
            "data.batch_size (for each process and part) to a multiple"
        )
    return images.reshape(-1, packing * images.shape[1], *images.shape[2:])
