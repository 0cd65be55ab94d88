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
    """Base class of models whose generator maps latents to styles, and styles and noise to images.

    Karras et al. 2019, arXiv:1812.04948. Training uses style mixing and new noise maps for every
    update. Sampling uses truncation towards the tracked mean of w and a selectable kind of noise.

    The generator has ``mapping`` (a :class:`~ganforge.networks.Mapping`), ``noise_sides`` (sides of
    its current noise maps, layer by layer) and ``synthesize(ws, noise)``.

    Attributes:
        style_mixing: fraction of training images that are generated from two latents.
        truncation: psi for samples; None for no truncation. May be changed at any time.
        truncation_cutoff: number of truncated layers, coarsest first; None for all.
        noise: noise of samples: random, const or none. May be changed at any time.
    """

    style_mixing: float
    truncation: float | None
    truncation_cutoff: int | None
    noise: str
    _draws: Noise | None = None  # random draws of the current update
    _tracks: bool = False  # whether the next styles are added to the tracked mean
    _tracked: list[Tensor]

    def set_styles(
        self, style_mixing: float, truncation: float | None, cutoff: int | None, noise: str
    ) -> None:
        """Checks and stores the style settings; called by the constructors of subclasses."""
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
        """Raises ConfigError unless psi is in [-1, 1]; 1 keeps w, 0 is its mean, -1 mirrors w."""
        if truncation is not None and not -1 <= truncation <= 1:
            raise ConfigError(f"{name} must be in [-1, 1] or null, got {truncation}")

    # ------------------------------------------------------------------ training

    def discriminator_loss(self, batch: Batch, noise: Noise) -> Tensor:
        """Returns the loss of D; fakes are generated with style mixing and random noise maps."""
        self._draws = noise.fork()
        return super().discriminator_loss(batch, noise)

    def generator_loss(self, batch: Batch, noise: Noise) -> Tensor:
        """Returns the loss of G; its styles are added to the tracked mean after the update."""
        self._draws, self._tracks = noise.fork(), True
        return super().generator_loss(batch, noise)

    def images(self, generator: nn.Module, z: Tensor, labels: Tensor | None) -> Tensor:
        """Returns images [B, C, H, W] of latents, with style mixing and random noise maps.

        Within one update the second latents, the crossovers and the noise maps stay the same, so
        images of neighbouring latents differ only because of the latents.
        """
        if self._draws is None:  # outside an update there are no draws: generate without mixing
            return super().images(generator, z, labels)
        network, draws = style_network(generator), self._draws.restarted()
        w = network.mapping(z, labels)
        if self._tracks:
            self._tracked.append(w.detach())
            self._tracks = False
        ws = self.mixed_styles(network, w, labels, draws)
        maps = noise_maps(draws, network.noise_sides, "random") or []
        # A regularizer may use only some of the latents.
        return cast(Tensor, network.synthesize(ws, [drawn[: len(z)] for drawn in maps]))

    def mixed_styles(self, network: Any, w: Tensor, labels: Tensor | None, draws: Noise) -> Tensor:
        """Returns a style per layer, [B, num_ws, w_dim], from w [B, w_dim] and second latents."""
        ws = network.mapping.broadcast(w)
        if self.style_mixing == 0:
            return cast(Tensor, ws)
        z = draws.normal(network.latent_dim)[: len(w)]
        crossover = crossovers(draws, self.layers_in_use(network), self.style_mixing)[: len(w)]
        return mixed(ws, network.mapping.broadcast(network.mapping(z, labels)), crossover)

    def layers_in_use(self, network: Any) -> int:
        """Returns the number of styles that the current images depend on."""
        return int(network.mapping.num_ws)

    def constrain(self, player: Player) -> None:
        """Applies the constraints, ends the update and adds the generator's styles to the mean."""
        super().constrain(player)
        self._draws = None
        if player == "generator" and self._tracked:
            cast(Mapping, self.generator.mapping).track(torch.cat(self._tracked))
            self._tracked = []

    # ------------------------------------------------------------------ sampling

    def generate(self, generator: nn.Module, noise: Noise, labels: Tensor | None = None) -> Tensor:
        """Returns images of z ~ N(0, I), without style mixing: [rows, C, H, W] in [-1, 1]."""
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
        """Returns the styles of the images of :meth:`sample`, [n, num_ws, w_dim].

        One style per layer, with the model's truncation. Edit them and pass them to :meth:`render`.
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
            seed: seed of the samples.
            weights: "ema" for the averaged generator, "raw" for the live one.
            index: index of the sample whose noise maps are used for all images.
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
    """Returns the generator network, unwrapped if it is a moving average."""
    return generator.module if isinstance(generator, ExponentialMovingAverage) else generator


@contextlib.contextmanager
def evaluated(player: nn.Module, device: torch.device) -> Iterator[None]:
    """Switches a player to evaluation mode and full precision inside the context."""
    was_training = player.training
    player.eval()
    try:
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        player.train(was_training)
