from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, cast

import torch
from torch import Tensor

from ganforge.models.engine.adversarial import AdversarialModule
from ganforge.models.engine.sampling import (
    SAMPLE_BLOCK,
    block_labels,
    evaluated,
    portable_noise,
    truncated_latents,
)
from ganforge.models.engine.update import Weights
from ganforge.models.style_based import StyleBased
from ganforge.streams import Noise, Stream, Substream, mix


class LatentPaths:
    """Pairs of images at neighboring points of random paths through a model's latent space.

    Paths are straight lines in W for style-based models and great-circle arcs in Z for others. If
    samples are truncated, the ends of a path are truncated; the points between are interpolated.
    Both images of a pair have the same class and the same noise maps. A block depends only on its
    index and the seed.

    Args:
        model: model that generates the images.
        seed: seed of the latents.
        weights: "ema" for the moving average of the generator, "raw" for the live weights.
    """

    size: int = SAMPLE_BLOCK  # pairs per block

    def __init__(self, model: AdversarialModule, seed: int, weights: Weights = "ema") -> None:
        self.model = model
        self.seed = seed
        self.weights = weights
        self.space = "w" if isinstance(model, StyleBased) else "z"

    @torch.no_grad()
    def __call__(self, block: int, epsilon: float) -> tuple[Tensor, Tensor]:
        """Returns the images at t and t + epsilon on 64 paths, with t uniform in [0, 1) per path.

        Args:
            block: index of the block; it holds paths 64 block ... 64 block + 63.
            epsilon: distance of the two points, as a fraction of the path.

        Returns:
            Two tensors, float32 [64, C, H, W] in [-1, 1].
        """
        key = mix(self.seed, Stream.PLACES, block)
        positions = portable_noise(key, self.model.device).uniform(1)
        if isinstance(self.model, StyleBased):
            return self._styled(self.model, block, positions, epsilon)
        return self._plain(block, positions, epsilon)

    def _styled(
        self, model: StyleBased, block: int, positions: Tensor, epsilon: float
    ) -> tuple[Tensor, Tensor]:
        start = block * self.size
        first, second = (
            model.styles(self.size, seed, self.weights, start)
            for seed in (self.seed, mix(self.seed, Substream.ENDS))
        )
        near, far = (
            model.render(torch.lerp(first, second, at[:, None]), self.seed, self.weights, start)
            for at in (positions, positions + epsilon)
        )
        return near, far

    def _plain(self, block: int, positions: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
        model = self.model
        generator = model.averaged(self.weights)
        noise = portable_noise(mix(self.seed, Substream.ENDS, block), model.device)
        length = int(cast(Any, model.generator).latent_dim)
        labels = block_labels(block * self.size, model.num_classes, model.device)
        with evaluated(generator, model.device), untruncated(model) as threshold:
            first, second = (truncated_latents(noise, length, threshold) for _ in range(2))
            others = noise.fork()  # other draws must not depend on those of the latents
            near, far = (
                model.generate(generator, Given(others, slerp(first, second, at)), labels)
                for at in (positions, positions + epsilon)
            )
        return near.float(), far.float()


@contextlib.contextmanager
def untruncated(model: AdversarialModule) -> Iterator[float | None]:
    """Disables a model's truncation inside the context; yields its truncation threshold.

    Truncation redraws the latent values beyond the threshold. Along a path these would be different
    values at each point, and images would jump.
    """
    bounded = cast(Any, model)
    threshold: float | None = getattr(bounded, "truncation", None)
    if threshold is None:
        yield None
        return
    bounded.truncation = None
    try:
        yield threshold
    finally:
        bounded.truncation = threshold


class Given(Noise):
    """Random draws whose first Gaussian draw is replaced by given latents.

    Args:
        noise: stream of all other draws, restarted at its first draw.
        latents: [rows, latent_dim].
    """

    def __init__(self, noise: Noise, latents: Tensor) -> None:
        place = (noise.device, noise.rank, noise.world, noise.portable)
        super().__init__(noise.seed, noise.batch_rows, *place)
        self._latents: Tensor | None = latents

    def normal(self, *shape: int) -> Tensor:
        """Returns the given latents on the first call, then [rows, *shape] from N(0, 1)."""
        if self._latents is None:
            return super().normal(*shape)
        latents, self._latents = self._latents, None
        return latents


def slerp(first: Tensor, second: Tensor, position: Tensor) -> Tensor:
    """Returns the spherical interpolation between two latents.

    The direction moves along the arc at constant speed; the length changes linearly. A straight
    line would pass through latents that are shorter than typical draws (White 2016,
    arXiv:1609.04468).

    Args:
        first: [B, d].
        second: [B, d], not in the opposite direction of ``first``.
        position: [B, 1], 0 for the first and 1 for the second.
    """
    lengths = [latents.norm(dim=1, keepdim=True) for latents in (first, second)]
    start, end = first / lengths[0], second / lengths[1]
    angle = (start * end).sum(1, keepdim=True).clamp(-1, 1).acos()
    tangent = end - start * angle.cos()
    tangent = tangent / tangent.norm(dim=1, keepdim=True).clamp(min=1e-12)
    direction = start * (position * angle).cos() + tangent * (position * angle).sin()
    latents: Tensor = direction * (lengths[0] + position * (lengths[1] - lengths[0]))
    return latents
