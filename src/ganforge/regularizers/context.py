from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn

from ganforge.streams import Noise

Critic = Callable[[Tensor], Tensor]


class Generate(Protocol):
    """Maps latents to images [B, C, H, W], or to styles."""

    def __call__(self, latents: Tensor, labels: Tensor | None = ...) -> Tensor:
        """Labels default to those of the batch; some of its latents need some of its labels."""
        ...


@dataclass(frozen=True)
class Turn:
    """What is at hand when a player is updated: all that a term of its loss may look at.

    In the discriminator's turn everything generated is detached from the generator; in the
    generator's turn the discriminator's weights get no gradient.

    Attributes:
        critic: maps judged images to raw logits [B], at the labels of this batch.
        features: maps judged images to the discriminator's last features [B, F].
        generate: maps latents to images [B, C, H, W], at the labels of this batch or at others.
        augment: augments images [B, C, H, W] with draws of its own, and packs them.
        generator: the generating player.
        discriminator: the judging player.
        real: real images as they are judged: augmented, packed; float32.
        fake: generated images as they are judged; float32.
        real_images: real images [B, C, H, W] in [-1, 1], as they are; float32.
        fake_images: generated images [B, C, H, W] in [-1, 1], as they are; float32.
        latents: what the generated images were made from, [B, latent_dim].
        labels: int64 [B], or None in a game without labels.
        real_logits: [B] float32, or None where the generator's turn did not need them.
        fake_logits: [B] float32.
        noise: random draws of this update.
        images_seen: real images that the discriminator has seen before this step.
        styled: where images are made of styles that are made of latents, maps latents to styles
            [B, layers, D], at the labels of this batch or at others.
        synthesize: maps these to images [B, C, H, W].
    """

    critic: Critic
    features: Critic
    generate: Generate
    augment: Critic
    generator: nn.Module
    discriminator: nn.Module
    real: Tensor
    fake: Tensor
    real_images: Tensor
    fake_images: Tensor
    latents: Tensor
    labels: Tensor | None
    real_logits: Tensor | None
    fake_logits: Tensor
    noise: Noise
    images_seen: int
    styled: Generate | None = None
    synthesize: Critic | None = None
