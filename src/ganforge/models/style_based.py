from __future__ import annotations

from typing import Any, Unpack, cast

import torch
from torch import Tensor, nn

from ganforge.errors import ConfigError, require
from ganforge.models.engine.adversarial import AdversarialModule
from ganforge.models.engine.averaging import unwrapped
from ganforge.models.engine.sampling import evaluated, image_noise
from ganforge.models.engine.update import Batch, Objective, Player, Update, Weights
from ganforge.models.parts import GANParts
from ganforge.networks.layers.styles import Mapping, check_mode, noise_maps
from ganforge.streams import Noise


class StyleBased(AdversarialModule):
    """Base class of models whose generator maps latents to styles, and styles and noise to images.

    Karras et al. 2019, arXiv:1812.04948. Training uses style mixing and new noise maps for every
    update. Sampling uses truncation towards the tracked mean of w and a selectable kind of noise.

    Subclasses have GAN as their second base.

    The generator has ``mapping`` (a :class:`~ganforge.networks.Mapping`), ``noise_sides`` (sides of
    its current noise maps, layer by layer) and ``synthesize(ws, noise)``.

    Args:
        style_mixing: fraction of training images that are generated from two latents.
        truncation: psi for samples, in [-1, 1]: w' = mean + psi (w - mean). None for no truncation.
            May be changed at any time: ``model.truncation = 0.7``.
        truncation_cutoff: number of truncated layers, coarsest first; None for all.
        noise: noise of samples: "random"; "const", the same for all images; or "none". May be
            changed at any time.
        **parts: see GAN.
    """

    def __init__(
        self,
        *,
        style_mixing: float = 0.9,
        truncation: float | None = None,
        truncation_cutoff: int | None = None,
        noise: str = "random",
        **parts: Unpack[GANParts],
    ) -> None:
        super().__init__(**parts)  # type: ignore[misc]  # GAN is next, see the subclasses
        require(0 <= style_mixing <= 1, f"model.style_mixing must be in [0, 1], got {style_mixing}")
        require(
            truncation_cutoff is None or truncation_cutoff >= 0,
            f"model.truncation_cutoff must be at least 0 or null, got {truncation_cutoff}",
        )
        self.check_truncation("model.truncation", truncation)
        check_mode("model", noise)
        self.style_mixing = style_mixing
        self.truncation = truncation
        self.truncation_cutoff = truncation_cutoff
        self.noise = noise

    @staticmethod
    def check_truncation(name: str, truncation: float | None) -> None:
        """Raises ConfigError unless psi is in [-1, 1]; 1 keeps w, 0 is its mean, -1 mirrors w."""
        if truncation is not None and not -1 <= truncation <= 1:
            raise ConfigError(f"{name} must be in [-1, 1] or null, got {truncation}")

    # ------------------------------------------------------------------ training

    def images(self, update: Update, z: Tensor, labels: Tensor | None) -> Tensor:
        """Returns images [B, C, H, W] of latents, with style mixing and random noise maps.

        Within one update the second latents, the crossovers and the noise maps stay the same, so
        images of neighboring latents differ only because of the latents.
        """
        network, draws = cast(Any, self.generator), update.draws.restarted()
        w = network.mapping(z, labels)
        if update.player == "generator":  # its first images are the fakes, others of regularizers
            update.kept.setdefault("w", w.detach())
        ws = self.mixed_styles(network, w, labels, draws)
        maps = noise_maps(draws, network.noise_sides, "random") or []
        # A regularizer may use only some of the latents.
        return cast(Tensor, network.synthesize(ws, [drawn[: len(z)] for drawn in maps]))

    def update(
        self, player: Player, objective: Objective, batch: Batch, lazy: bool = False
    ) -> Batch:
        """Updates one player; the styles of the generator's fakes enter the tracked mean of w."""
        kept = super().update(player, objective, batch, lazy)
        if "w" in kept and not lazy:
            cast(Mapping, self.generator.mapping).track(kept["w"])
        return kept

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

    # ------------------------------------------------------------------ sampling

    def generate(self, generator: nn.Module, noise: Noise, labels: Tensor | None = None) -> Tensor:
        """Returns images of z ~ N(0, I), without style mixing: [rows, C, H, W] in [-1, 1]."""
        ws = self._sampled_styles(generator, noise, labels)
        return self._rendered(generator, ws, noise)

    @torch.no_grad()
    def styles(
        self,
        n: int,
        seed: int = 0,
        weights: Weights = "ema",
        start: int = 0,
        labels: Tensor | None = None,
    ) -> Tensor:
        """Returns the styles of the images of :meth:`sample`, [n, num_ws, w_dim].

        One style per layer, with the model's truncation. Edit them and pass them to :meth:`render`.
        """
        return self.sample_blocks(self._sampled_styles, n, seed, weights, start, labels)

    @torch.no_grad()
    def render(self, ws: Tensor, seed: int = 0, weights: Weights = "ema", index: int = 0) -> Tensor:
        """Returns images [B, C, H, W] in [-1, 1] of styles ws [B, num_ws, w_dim].

        Args:
            ws: one style for each layer.
            seed: seed of the samples.
            weights: "ema" for the averaged generator, "raw" for the live one.
            index: index of the sample whose noise maps are used for all images.
        """
        generator = self.averaged(weights)
        with evaluated(generator, self.device):
            noise = image_noise(seed, index, self.device)
            return self._rendered(generator, ws, noise).float()

    def _sampled_styles(self, generator: nn.Module, noise: Noise, labels: Tensor | None) -> Tensor:
        network = unwrapped(generator)
        w = network.mapping(noise.normal(network.latent_dim), labels)
        ws = network.mapping.broadcast(w, self.truncation, self.truncation_cutoff)
        return cast(Tensor, ws)

    def _rendered(self, generator: nn.Module, ws: Tensor, noise: Noise) -> Tensor:
        network = unwrapped(generator)
        maps = noise_maps(noise.fork(), network.noise_sides, self.noise)
        return cast(Tensor, network.synthesize(ws, maps))


def crossovers(noise: Noise, layers: int, probability: float) -> Tensor:
    """Returns the index of the first layer that uses an image's second style, int64 [rows].

    With ``probability`` it is uniform over 1 ... layers - 1; otherwise it is ``layers``, and the
    image has a single style. Each row uses the same two draws in both cases.

    Args:
        noise: random draws, one row for each image.
        layers: number of layers with a style.
        probability: probability of mixing two styles.
    """
    mixes = noise.uniform() < probability
    if layers < 2:
        return torch.full((noise.rows,), layers, device=noise.device)
    layer = 1 + noise.integers(layers - 1)
    return torch.where(mixes, layer, layers)


def mixed(first: Tensor, second: Tensor, crossover: Tensor) -> Tensor:
    """Returns styles [B, L, D]: those of ``first`` before the crossover, ``second`` from it on.

    Args:
        first: [B, L, D].
        second: [B, L, D].
        crossover: int64 [B], the first layer with the second style; L returns ``first``.
    """
    layers = torch.arange(first.shape[1], device=first.device)
    return torch.where((layers < crossover[:, None])[:, :, None], first, second)
