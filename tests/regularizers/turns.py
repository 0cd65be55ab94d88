"""Turns of a generator whose networks are known."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ganforge.regularizers.context import UpdateContext
from ganforge.streams import Noise

LATENT, SHAPE = 3, (2, 4, 4)


class Linear(nn.Module):
    """G(z) = A z, whose Jacobian is A everywhere; of a class, times 1 + the class."""

    def __init__(self) -> None:
        super().__init__()
        matrix = torch.randn(32, LATENT, generator=torch.Generator().manual_seed(1))
        self.matrix = nn.Parameter(matrix)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        scale = 1 if labels is None else 1 + labels[:, None]
        return (scale * (z @ self.matrix.T)).view(-1, *SHAPE)


class Critic(nn.Module):
    """f(x) = W x as features, and their sum as logit."""

    def __init__(self) -> None:
        super().__init__()
        matrix = torch.randn(5, 32, generator=torch.Generator().manual_seed(2))
        self.matrix = nn.Parameter(matrix)

    def features(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        return images.flatten(1) @ self.matrix.T

    def forward(self, images: Tensor) -> Tensor:
        return self.features(images).sum(1)


def context(noise: Noise, labels: Tensor | None = None, **changes: Any) -> UpdateContext:
    """The generator's turn of those two, with latents drawn first."""
    generator, critic = Linear(), Critic()
    z = noise.normal(LATENT)
    fake = generator(z, labels)
    real = torch.randn(len(z), *SHAPE, generator=torch.Generator().manual_seed(3))
    parts: dict[str, Any] = {
        "critic": critic,
        "features": critic.features,
        "generate": lambda latents, classes=labels: generator(latents, classes),
        "augment": lambda images: images,
        "generator": generator,
        "discriminator": critic,
        "real": real,
        "fake": fake,
        "real_images": real,
        "fake_images": fake,
        "latents": z,
        "labels": labels,
        "real_logits": None,
        "fake_logits": critic(fake),
        "noise": noise,
        "images_seen": 0,
    }
    return UpdateContext(**parts | changes)
