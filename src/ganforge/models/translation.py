from __future__ import annotations

import copy
from contextlib import AbstractContextManager
from typing import Unpack, cast

import torch
from torch import Tensor, nn

from ganforge.augment.augmentation import Augmentation
from ganforge.errors import ConfigError, require
from ganforge.losses.adversarial_loss import AdversarialLoss
from ganforge.models.engine.averaging import unwrapped
from ganforge.models.engine.checks import check_regularizers
from ganforge.models.engine.sampling import evaluated
from ganforge.models.engine.types import Batch, Weights
from ganforge.models.parts import AdversarialParts
from ganforge.models.patch_critic import PatchCritic
from ganforge.regularizers.regularizer import Regularizer
from ganforge.streams import Noise, Stream, mix, seed_layers

OPPOSITE = {"AtoB": "BtoA", "BtoA": "AtoB"}


class TranslationModel(PatchCritic):
    """Base class of image-to-image translation: inputs x, targets y, a discriminator per domain.

    A batch holds inputs ``input`` [B, C_in, H, W] and targets ``image`` [B, C_out, H, W].

    The generators are updated first. The discriminators are then updated on the images generated
    in that update, as in Zhu et al. 2017, so each image is generated once. Additional critic steps
    run before the generators' update.

    Attributes:
        directions: directions of translation; the first is from input to target.

    Args:
        loss: adversarial loss of both players.
        regularizers: penalties and constraints by name.
        augment: differentiable augmentation of reals and fakes before the discriminators.
        adversarial_weight: factor of the generator's adversarial loss.
        discriminator_weight: factor of the discriminator's adversarial loss.
        direction: direction from input to target, "AtoB" or "BtoA".
        **parts: see AdversarialModule.
    """

    needs = frozenset({"inputs"})

    def __init__(
        self,
        *,
        loss: AdversarialLoss,
        regularizers: dict[str, Regularizer] | None = None,
        augment: Augmentation | None = None,
        adversarial_weight: float = 1.0,
        discriminator_weight: float = 1.0,
        direction: str = "AtoB",
        **parts: Unpack[AdversarialParts],
    ) -> None:
        super().__init__(**parts)
        self.check()
        require(direction in OPPOSITE, f"model.direction must be AtoB or BtoA, got {direction!r}")
        weights = {"adversarial": adversarial_weight, "discriminator": discriminator_weight}
        for name, weight in weights.items():
            require(weight > 0, f"model.{name}_weight must be above 0, got {weight}")
        self.loss = loss
        self.adversarial_weight = adversarial_weight
        self.discriminator_weight = discriminator_weight
        self.directions: tuple[str, ...] = (direction,)
        terms = {name: term for name, term in (regularizers or {}).items() if term is not None}
        for name, term in terms.items():
            if term.of_latents:
                raise ConfigError(
                    f"regularizer={name} needs latents, which image-to-image models do not have. "
                    "Remove it"
                )
        augment = augment if augment is not None else Augmentation()
        discriminators = self.discriminators()
        for domain, network in discriminators.items():
            check_regularizers(terms, self.generators()[domain], network)
        self.regularizers = nn.ModuleDict(
            {domain: nn.ModuleDict(copy.deepcopy(terms)) for domain in discriminators}
        )
        self.augment = nn.ModuleDict({domain: copy.deepcopy(augment) for domain in discriminators})
        self._fakes: list[Batch] = []

    # ------------------------------------------------------------------ overridden by subclasses

    def fakes(self, batch: Batch) -> Batch:
        """Returns generated images, under the names that the discriminator's loss expects."""
        raise NotImplementedError

    def generator_loss(self, batch: Batch, noise: Noise) -> Tensor:
        """Returns the generators' loss; passes the generated images to :meth:`keep`."""
        raise NotImplementedError

    def discriminator_loss(self, batch: Batch, noise: Noise) -> Tensor:
        """Returns the discriminators' loss on a batch that includes the :meth:`fakes`."""
        raise NotImplementedError

    def critic_fakes(self, fakes: Batch) -> Batch:
        """Returns the fakes that the discriminators are updated on, [B, C, H, W] each."""
        return fakes

    # ------------------------------------------------------------------ the algorithm

    def play(self, reals: list[Batch]) -> None:
        """Runs one step: additional critic steps, the generators, then the discriminators."""
        for real in reals[:-1]:
            with torch.no_grad():
                fakes = self.fakes(real)
            self.update_discriminators(real, _detached(fakes))
        self._fakes.clear()
        self.step("generator", self.generator_loss, reals[-1])
        fakes = {name: torch.cat([part[name] for part in self._fakes]) for name in self._fakes[0]}
        self.update_discriminators(reals[-1], fakes)
        for domain, augment in self.augment.items():
            self.adjust(cast(Augmentation, augment), reals, self._prefix(domain))

    def update_discriminators(self, real: Batch, fakes: Batch) -> None:
        """Updates the discriminators on a batch and on generated images."""
        self.step("discriminator", self.discriminator_loss, real | self.critic_fakes(fakes))

    def keep(self, fakes: Batch) -> None:
        """Keeps generated images for the discriminators' update."""
        self._fakes.append(_detached(fakes))

    # ------------------------------------------------------------------ images

    def translator(self, direction: str | None = None, weights: Weights = "ema") -> nn.Module:
        """Returns the network that translates in ``direction``.

        Args:
            direction: one of ``directions``; None translates from input to target.
            weights: "ema" for the average if there is one, "raw" for the live weights.
        """
        generator = unwrapped(self.averaged(weights))
        direction = direction or self.directions[0]
        require(
            direction in self.directions,
            f"direction must be one of {', '.join(self.directions)} for this run, got "
            f"{direction!r}",
        )
        return self.way(generator, self.directions.index(direction))

    def way(self, generator: nn.Module, index: int) -> nn.Module:
        """Returns the network of ``generator`` that translates in ``directions[index]``."""
        return generator

    @torch.no_grad()
    def translate(
        self,
        inputs: Tensor,
        direction: str | None = None,
        weights: Weights = "ema",
        seed: int = 0,
        start: int = 0,
    ) -> Tensor:
        """Translates images in full precision.

        Output ``i`` depends only on (seed, start + i) and on input i. Networks that draw random
        numbers or use batch statistics therefore get one image at a time.

        Args:
            inputs: [n, C_in, H, W] in [-1, 1]; H and W multiples of the network's ``multiple``.
            direction: one of ``directions``; None translates from input to target.
            weights: "ema" for the average if there is one, "raw" for the live weights.
            seed: seed of the random numbers that networks draw (dropout).
            start: index of the first image.

        Returns:
            [n, C_out, H, W] in [-1, 1] on the module's device.
        """
        network = self.translator(direction, weights)
        alone = bool(getattr(network, "stochastic", False))
        inputs = inputs.to(self.device)
        with evaluated(network, self.device), _fork_rng(self.device):
            outputs = []
            for i, block in enumerate(torch.split(inputs, 1 if alone else max(len(inputs), 1))):
                seed_layers(mix(seed, Stream.TRANSLATING, start + i), self.device)
                outputs.append(network(block))
        return torch.cat(outputs)

    def generate(self, generator: nn.Module, noise: Noise, labels: Tensor | None = None) -> Tensor:
        """Raises ConfigError: translation models generate from images, not from latents."""
        raise ConfigError(
            f"{type(self).__name__} generates images from images. Use `ganforge translate run=RUN "
            "input=DIR out=DIR`"
        )


def _detached(fakes: Batch) -> Batch:
    """Returns generated images, detached and in float32."""
    return {name: images.detach().float() for name, images in fakes.items()}


def _fork_rng(device: torch.device) -> AbstractContextManager[None]:
    # Translating during training must not change the random draws of the training steps.
    return torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])
