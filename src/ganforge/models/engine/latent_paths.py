from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from ganforge.models.engine.adversarial import AdversarialModule
from ganforge.models.engine.sampling import SAMPLE_BLOCK
from ganforge.models.engine.truncation import truncated_latents
from ganforge.models.style_based import StyleBased, evaluated
from ganforge.streams import Noise, Stream, Substream, mix


class LatentPaths:
    """Pairs of images at neighbouring points of random paths through a model's latent space.

    Paths are straight lines in W for style-based models and great-circle arcs in Z for others. If
    samples are truncated, the ends of a path are truncated; the points between are interpolated.
    Both images of a pair have the same class and the same noise maps. A block depends only on its
    index and the seed.

    Args:
        game: model that generates the images.
        seed: seed of the latents.
        weights: "ema" for the moving average of the generator, "raw" for the live weights.
    """

    size: int = SAMPLE_BLOCK  # pairs per block

    def __init__(
        self, game: AdversarialModule, seed: int, weights: Literal["ema", "raw"] = "ema"
    ) -> None:
        self.game = game
        self.seed = seed
        self.weights = weights
        self.space = "w" if isinstance(game, StyleBased) else "z"

    @torch.no_grad()
    def __call__(self, block: int, epsilon: float) -> tuple[Tensor, Tensor]:
        """Returns the images at t and t + epsilon on 64 paths, with t uniform in [0, 1) per path.

        Args:
            block: index of the block; it holds paths 64 block ... 64 block + 63.
            epsilon: distance of the two points, as a fraction of the path.

        Returns:
            Two tensors, float32 [64, C, H, W] in [-1, 1].
        """
        places = Noise(mix(self.seed, Stream.PLACES, block), self.size, self.game.device).uniform(1)
        if isinstance(self.game, StyleBased):
            return self._styled(self.game, block, places, epsilon)
        return self._plain(block, places, epsilon)

    def _styled(
        self, game: StyleBased, block: int, places: Tensor, epsilon: float
    ) -> tuple[Tensor, Tensor]:
        start = block * self.size
        first, second = (
            game.styles(self.size, seed, self.weights, start)
            for seed in (self.seed, mix(self.seed, Substream.ENDS))
        )
        near, far = (
            game.render(torch.lerp(first, second, at[:, None]), self.seed, self.weights, start)
            for at in (places, places + epsilon)
        )
        return near, far

    def _plain(self, block: int, places: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
        game = self.game
        averaged = self.weights == "ema" and game.average is not None
        player = cast(nn.Module, game.average) if averaged else game.generator
        noise = Noise(mix(self.seed, Substream.ENDS, block), self.size, game.device)
        length = int(cast(Any, game.generator).latent_dim)
        with evaluated(player, game.device), untruncated(game) as threshold:
            first, second = (_end(noise, length, threshold) for _ in range(2))
            others = noise.fork()  # other draws must not depend on those of the latents
            near, far = (
                game.generate(player, Given(others, slerp(first, second, at)), self._labels(block))
                for at in (places, places + epsilon)
            )
        return near.float(), far.float()

    def _labels(self, block: int) -> Tensor | None:
        if self.game.num_classes == 0:
            return None
        index = torch.arange(block * self.size, (block + 1) * self.size, device=self.game.device)
        return index % self.game.num_classes


@contextlib.contextmanager
def untruncated(game: AdversarialModule) -> Iterator[float | None]:
    """Disables a model's truncation inside the context; yields its truncation threshold.

    Truncation redraws the latent values beyond the threshold. Along a path these would be different
    values at each point, and images would jump.
    """
    bounded = cast(Any, game)
    threshold: float | None = getattr(bounded, "truncation", None)
    if threshold is None:
        yield None
        return
    bounded.truncation = None
    try:
        yield threshold
    finally:
        bounded.truncation = threshold


def _end(noise: Noise, length: int, threshold: float | None) -> Tensor:
    return (
        noise.normal(length) if threshold is None else truncated_latents(noise, length, threshold)
    )


class Given(Noise):
    """Random draws whose first Gaussian draw is replaced by given latents.

    Args:
        noise: stream of all other draws, restarted at its first draw.
        latents: [rows, latent_dim].
    """

    def __init__(self, noise: Noise, latents: Tensor) -> None:
        super().__init__(noise.seed, noise.batch_rows, noise.device, noise.rank, noise.world)
        self._latents: Tensor | None = latents

    def normal(self, *shape: int) -> Tensor:
        """Returns the given latents on the first call, then [rows, *shape] from N(0, 1)."""
        if self._latents is None:
            return super().normal(*shape)
        latents, self._latents = self._latents, None
        return latents


def slerp(first: Tensor, second: Tensor, place: Tensor) -> Tensor:
    """Returns the spherical interpolation between two latents.

    The direction moves along the arc at constant speed; the length changes linearly. A straight
    line would pass through latents that are shorter than typical draws (White 2016,
    arXiv:1609.04468).

    Args:
        first: [B, d].
        second: [B, d], not in the opposite direction of ``first``.
        place: [B, 1], 0 for the first and 1 for the second.
    """
    lengths = [latents.norm(dim=1, keepdim=True) for latents in (first, second)]
    here, there = first / lengths[0], second / lengths[1]
    angle = (here * there).sum(1, keepdim=True).clamp(-1, 1).acos()
    aside = there - here * angle.cos()
    aside = aside / aside.norm(dim=1, keepdim=True).clamp(min=1e-12)
    turned = here * (place * angle).cos() + aside * (place * angle).sin()
    between: Tensor = turned * (lengths[0] + place * (lengths[1] - lengths[0]))
    return between
