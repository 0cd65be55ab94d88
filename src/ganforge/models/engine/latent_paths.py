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
    """Pairs of images that are neighbours on random paths through a game's latent space.

    Paths of style-based games are straight lines in W, those of others great circles in Z. Where
    samples are truncated, so are a path's ends; what lies between follows from them. Both images of
    a pair are of the same class and have the same noise maps. A block is a function of its number
    and the seed alone.

    Args:
        game: what makes the images.
        seed: of the latents.
        weights: the generator's moving average "ema" or its "raw" weights.
    """

    size: int = SAMPLE_BLOCK  # pairs of a block

    def __init__(
        self, game: AdversarialModule, seed: int, weights: Literal["ema", "raw"] = "ema"
    ) -> None:
        self.game = game
        self.seed = seed
        self.weights = weights
        self.space = "w" if isinstance(game, StyleBased) else "z"

    @torch.no_grad()
    def __call__(self, block: int, epsilon: float) -> tuple[Tensor, Tensor]:
        """Returns the images at t and at t + epsilon of paths 64 block ... of t in [0, 1).

        Args:
            block: number of the paths' block.
            epsilon: distance of the two, as a share of the path.

        Returns:
            float32 [64, C, H, W] in [-1, 1], twice.
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
            others = noise.fork()  # what else is drawn must not follow from the latents
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
    """Has a game take all latents as they are for a while; yields the threshold of its samples.

    Values beyond the threshold are drawn anew. At each place of a path that would be at others, and
    images would jump.
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
    """Random draws of which the first Gaussian one, the latents, is given.

    Args:
        noise: whose other draws are taken, from the first on.
        latents: [rows, latent_dim].
    """

    def __init__(self, noise: Noise, latents: Tensor) -> None:
        super().__init__(noise.seed, noise.batch_rows, noise.device, noise.rank, noise.world)
        self._latents: Tensor | None = latents

    def normal(self, *shape: int) -> Tensor:
        """Returns the given latents at first, then [rows, *shape] from N(0, 1)."""
        if self._latents is None:
            return super().normal(*shape)
        latents, self._latents = self._latents, None
        return latents


def slerp(first: Tensor, second: Tensor, place: Tensor) -> Tensor:
    """Returns latents between two, along the arc from one's direction to the other's.

    Lengths change evenly. A straight line would lead through shorter latents than are ever drawn
    (White 2016, arXiv:1609.04468).

    Args:
        first: [B, d].
        second: [B, d], not opposite.
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
