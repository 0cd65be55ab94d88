from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from ganforge.errors import ConfigError
from ganforge.models.engine.adversarial import Player
from ganforge.models.engine.averaging import ExponentialMovingAverage
from ganforge.models.engine.batches import Batch
from ganforge.models.engine.sampling import image_noise, sample_blocks
from ganforge.models.engine.style_mixing import crossovers, mixed
from ganforge.models.gan import GAN
from ganforge.networks.layers.mapping import Mapping
from ganforge.networks.layers.noise_input import check_mode, noise_maps
from ganforge.streams import Noise


class StyleBased(GAN):
    """What games share whose generator maps latents to styles, and styles and noise to images.

    Karras et al. 2019, arXiv:1812.04948: style mixing and fresh noise while it learns; truncation
    towards the tracked mean of w, and a choice of noise, where samples are drawn.

    Its generator has ``mapping`` (a :class:`~ganforge.networks.Mapping`), ``noise_sides``
    (of the maps of noise it takes at present, layer by layer) and ``synthesize(ws, noise)``.

    Attributes:
        style_mixing: share of the images that are made of two latents while it learns.
        truncation: psi of samples; None for all of W. May be changed at any time.
        truncation_cutoff: layers that are truncated, from the coarsest on; None for all.
        noise: of samples: random, const or none. May be changed at any time.
    """

    style_mixing: float
    truncation: float | None
    truncation_cutoff: int | None
    noise: str
    _draws: Noise | None = None  # of the update that is under way
    _tracks: bool = False  # whether the next styles are the ones that count in the mean
    _tracked: list[Tensor]

    def set_styles(
        self, style_mixing: float, truncation: float | None, cutoff: int | None, noise: str
    ) -> None:
        """Takes a game's settings, in its constructor."""
        if not 0 <= style_mixing <= 1:
            raise ConfigError(f"model.style_mixing must be in [0, 1], got {style_mixing}")
        if cutoff is not None and cutoff < 0:
            raise ConfigError(f"model.truncation_cutoff must be at least 0 or null, got {cutoff}")
        self.check_truncation("model.truncation", truncation)
        check_mode("model", noise)
        self.style_mixing = style_mixing
        self.truncation = truncation
        self.truncation_cutoff = cutoff
        self.noise = noise
        self._tracked = []

    @staticmethod
    def check_truncation(name: str, truncation: float | None) -> None:
        """Refuses what is no psi: from 1, which leaves styles, over 0, their mean, to opposites."""
        if truncation is not None and not -1 <= truncation <= 1:
            raise ConfigError(f"{name} must be in [-1, 1] or null, got {truncation}")

    # ------------------------------------------------------------------ while it learns

    def discriminator_loss(self, batch: Batch, noise: Noise) -> Tensor:
        """Returns what D minimises, fakes being mixed and with noise of their own."""
        self._draws = noise.fork()
        return super().discriminator_loss(batch, noise)

    def generator_loss(self, batch: Batch, noise: Noise) -> Tensor:
        """Returns what G minimises; its styles will join the tracked mean."""
        self._draws, self._tracks = noise.fork(), True
        return super().generator_loss(batch, noise)

    def images(self, generator: nn.Module, z: Tensor, labels: Tensor | None) -> Tensor:
        """Returns images [B, C, H, W] of latents: some of two, all with random noise.

        Within one update the second latents, the crossovers and the noise stay the same, so that
        images of neighbouring latents differ by nothing else.
        """
        if self._draws is None:  # outside of an update there is nothing to draw from
            return super().images(generator, z, labels)
        network, draws = style_network(generator), self._draws.restarted()
        w = network.mapping(z, labels)
        if self._tracks:
            self._tracked.append(w.detach())
            self._tracks = False
        ws = self.mixed_styles(network, w, labels, draws)
        maps = noise_maps(draws, network.noise_sides, "random") or []
        # A term may look at some of the latents alone.
        return cast(Tensor, network.synthesize(ws, [drawn[: len(z)] for drawn in maps]))

    def mixed_styles(self, network: Any, w: Tensor, labels: Tensor | None, draws: Noise) -> Tensor:
        """Returns a style for each layer, [B, num_ws, w_dim], of w [B, w_dim] and of others."""
        ws = network.mapping.broadcast(w)
        if self.style_mixing == 0:
            return cast(Tensor, ws)
        z = draws.normal(network.latent_dim)[: len(w)]
        crossover = crossovers(draws, self.layers_in_use(network), self.style_mixing)[: len(w)]
        return mixed(ws, network.mapping.broadcast(network.mapping(z, labels)), crossover)

    def layers_in_use(self, network: Any) -> int:
        """Returns how many of a generator's styles its images depend on at present."""
        return int(network.mapping.num_ws)

    def constrain(self, player: Player) -> None:
        """Lets the styles of an update of the generator join the mean, once it is done."""
        super().constrain(player)
        self._draws = None
        if player == "generator" and self._tracked:
            cast(Mapping, self.generator.mapping).track(torch.cat(self._tracked))
            self._tracked = []

    # ------------------------------------------------------------------ samples

    def generate(self, generator: nn.Module, noise: Noise, labels: Tensor | None = None) -> Tensor:
        """Returns images of z ~ N(0, I): [rows, C, H, W] in [-1, 1], none of them mixed."""
        ws = self._sampled_styles(style_network(generator), noise, labels)
        return self._rendered(generator, ws, noise)

    @torch.no_grad()
    def styles(
        self,
        n: int,
        seed: int = 0,
        weights: Literal["ema", "raw"] = "ema",
        start: int = 0,
        labels: Tensor | None = None,
    ) -> Tensor:
        """Returns the styles of the images that :meth:`sample` draws, [n, num_ws, w_dim].

        One for each layer, truncated as asked for: to be changed, and rendered by :meth:`render`.
        """
        player = self._player(weights)
        with evaluated(player, self.device):
            return sample_blocks(
                lambda noise, classes: self._sampled_styles(style_network(player), noise, classes),
                n,
                seed,
                start,
                labels,
                self.num_classes,
                self.device,
            )

    @torch.no_grad()
    def render(
        self, ws: Tensor, seed: int = 0, weights: Literal["ema", "raw"] = "ema", index: int = 0
    ) -> Tensor:
        """Returns images [B, C, H, W] in [-1, 1] of styles ws [B, num_ws, w_dim].

        Args:
            ws: one style for each layer.
            seed: of the samples' own stream.
            weights: "ema" for the averaged generator, "raw" for the live one.
            index: of the sample whose noise all of them get.
        """
        player = self._player(weights)
        with evaluated(player, self.device):
            noise = image_noise(seed, index, self.device)
            return self._rendered(player, ws, noise).float()

    def _sampled_styles(self, network: Any, noise: Noise, labels: Tensor | None) -> Tensor:
        w = network.mapping(noise.normal(network.latent_dim), labels)
        ws = network.mapping.broadcast(w, self.truncation, self.truncation_cutoff)
        return cast(Tensor, ws)

    def _rendered(self, generator: nn.Module, ws: Tensor, noise: Noise) -> Tensor:
        network = style_network(generator)
        maps = noise_maps(noise.fork(), network.noise_sides, self.noise)
        return cast(Tensor, network.synthesize(ws, maps))

    def _player(self, weights: Literal["ema", "raw"]) -> nn.Module:
        averaged = weights == "ema" and self.average is not None
        return cast(nn.Module, self.average) if averaged else self.generator


def style_network(generator: nn.Module) -> Any:
    """Returns the network itself, of a player that may be an average of it."""
    return generator.module if isinstance(generator, ExponentialMovingAverage) else generator


@contextlib.contextmanager
def evaluated(player: nn.Module, device: torch.device) -> Iterator[None]:
    """Puts a player into evaluation mode and full precision for a while."""
    was_training = player.training
    player.eval()
    try:
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        player.train(was_training)
