from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor, nn

from ganforge.streams import Noise

Critic = Callable[[Tensor], Tensor]


class Generate(Protocol):
    """Maps latents to images [B, C, H, W], or to styles."""

    def __call__(self, latents: Tensor, labels: Tensor | None = ...) -> Tensor:
        """Labels default to those of the batch; pass a subset for a subset of its latents."""


@dataclass(frozen=True)
class GeneratorInputs:
    """What the generated images of an update are made from.

    Attributes:
        latents: latents of the generated images, [B, latent_dim]; in translation, the inputs
            [B, C, H, W].
        labels: int64 [B], or None in a model without labels.
        generate: maps latents to images [B, C, H, W], for the labels of this batch or others.
        styled: in a style-based model, maps latents to styles [B, layers, D], for the labels of
            this batch or others; else None.
        synthesize: in a style-based model, maps styles to images [B, C, H, W]; else None.
    """

    latents: Tensor
    labels: Tensor | None
    generate: Generate
    styled: Generate | None = field(default=None, kw_only=True)
    synthesize: Critic | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class UpdateContext(GeneratorInputs):
    """The context of one update of the generator or the discriminator, for terms of its loss.

    In the discriminator's update, generated images are detached from the generator. In the
    generator's update, the discriminator's weights get no gradient.

    Attributes:
        critic: maps augmented images to raw logits [B], for the labels of this batch.
        features: maps augmented images to the discriminator's last features [B, F].
        augment: augments images [B, C, H, W] with independent draws, and packs them.
        generator: the generator network.
        discriminator: the discriminator network.
        real: real images as the discriminator sees them: augmented and packed; float32.
        fake: generated images as the discriminator sees them; float32.
        real_images: real images [B, C, H, W] in [-1, 1], before augmentation; float32.
        fake_images: generated images [B, C, H, W] in [-1, 1], before augmentation; float32.
        real_logits: [B] float32, or None if the generator's update did not need them.
        fake_logits: [B] float32.
        noise: random draws of this update.
        images_seen: real images that the discriminator has seen before this step.
        auxiliary: the discriminator's outputs besides the logits (class, codes), [B, A] float32,
            for the reals and the fakes; None where there are none.
    """

    critic: Critic
    features: Critic
    augment: Critic
    generator: nn.Module
    discriminator: nn.Module
    real: Tensor
    fake: Tensor
    real_images: Tensor
    fake_images: Tensor
    real_logits: Tensor | None
    fake_logits: Tensor
    noise: Noise
    images_seen: int
    auxiliary: tuple[Tensor | None, Tensor | None] = (None, None)
