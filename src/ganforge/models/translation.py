from __future__ import annotations

import copy
from contextlib import AbstractContextManager
from typing import Any, Unpack, cast

import torch
from torch import Tensor, nn

from ganforge.augment.augmentation import Augmentation
from ganforge.errors import ConfigError, require
from ganforge.losses.adversarial_loss import AdversarialLoss
from ganforge.models.critic import Critic
from ganforge.models.engine.adversarial import AdversarialModule
from ganforge.models.engine.averaging import unwrapped
from ganforge.models.engine.checks import check_regularizers
from ganforge.models.engine.sampling import evaluated
from ganforge.models.engine.update import Batch, Update, Weights
from ganforge.models.parts import AdversarialParts
from ganforge.networks.contract import contract_of
from ganforge.regularizers.context import GeneratorInputs
from ganforge.regularizers.regularizer import Regularizer
from ganforge.streams import Noise, Stream, mix, seed_layers
from ganforge.terminal import as_typed

OPPOSITE = {"AtoB": "BtoA", "BtoA": "AtoB"}


class TranslationModel(AdversarialModule):
    """Base class of image-to-image translation: inputs x, targets y, a discriminator per domain.

    A batch holds inputs ``input`` [B, C_in, H, W] and targets ``image`` [B, C_out, H, W].

    The generators are updated first. The discriminators are then updated on the images generated
    in that update, as in Zhu et al. 2017, so each image is generated once. Additional critic steps
    run before the generators' update.

    Each discriminator returns a logit for each image patch, and has its own regularizers and
    augmentation, since these may have a state.

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

    # ------------------------------------------------------------------ overridden by subclasses

    def discriminators(self) -> dict[str, nn.Module]:
        """Returns the discriminator of each domain in which images are generated."""
        raise NotImplementedError

    def generators(self) -> dict[str, nn.Module]:
        """Returns the generator of each domain of :meth:`discriminators`."""
        raise NotImplementedError

    def channels(self, domain: str) -> tuple[int, ...]:
        """Returns the channels of each image that a discriminator's input is concatenated from."""
        raise NotImplementedError

    def fakes(self, batch: Batch) -> Batch:
        """Returns generated images, under the names that the discriminator's loss expects."""
        raise NotImplementedError

    def generator_loss(self, update: Update) -> Tensor:
        """Returns the generators' loss; keeps the generated images in ``update``."""
        raise NotImplementedError

    def discriminator_loss(self, update: Update) -> Tensor:
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
                fakes = detached(self.fakes(real))
            self.update_discriminators(real, fakes)
        fakes = self.step("generator", self.generator_loss, reals[-1])
        self.update_discriminators(reals[-1], fakes)
        self.adjust(reals)

    def update_discriminators(self, real: Batch, fakes: Batch) -> None:
        """Updates the discriminators on a batch and on generated images."""
        self.step("discriminator", self.discriminator_loss, real | self.critic_fakes(fakes))

    def adversarial_generator_loss(
        self, update: Update, domain: str, real: Tensor, fake: Tensor
    ) -> Tensor:
        """Returns a generator's adversarial loss in one domain, penalties included.

        Args:
            update: the update of the generators.
            domain: a key of :meth:`discriminators`.
            real: inputs [B, C, H, W] of the discriminator, before augmentation.
            fake: the same for generated images.
        """
        critic = self.critics()[domain]
        loss, context = critic.generator_loss(update, _inputs(update), (real, fake))
        update.observe(f"generator/{critic.prefix}adversarial", loss)
        return self.adversarial_weight * loss + critic.penalties(update, context)

    def adversarial_discriminator_loss(
        self, update: Update, domain: str, real: Tensor, fake: Tensor
    ) -> Tensor:
        """Returns the loss of one domain's discriminator, penalties included.

        The fakes are detached. Arguments as in :meth:`adversarial_generator_loss`.
        """
        critic = self.critics()[domain]
        loss, context = critic.discriminator_loss(update, _inputs(update), (real, fake))
        return self.discriminator_weight * loss + critic.penalties(update, context)

    def critics(self) -> dict[str, Critic]:
        """Returns the discriminators with their losses and regularizers, by domain."""
        discriminators, generators = self.discriminators(), self.generators()
        return {
            domain: Critic(
                generators[domain],
                discriminator,
                self.loss,
                dict(cast(Any, self.regularizers[domain]).items()),
                cast(Augmentation, self.augment[domain]),
                channels=self.channels(domain),
                prefix=f"{domain}_" if len(discriminators) > 1 else "",
            )
            for domain, discriminator in discriminators.items()
        }

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
        alone = contract_of(network).stochastic
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
            f"{type(self).__name__} generates images from images. Use "
            f"`{as_typed('ganforge translate run=RUN input=DIR out=DIR')}`"
        )


def detached(fakes: Batch) -> Batch:
    """Returns generated images, detached and in float32."""
    return {name: images.detach().float() for name, images in fakes.items()}


def _inputs(update: Update) -> GeneratorInputs:
    return GeneratorInputs(update.batch["input"], None, _generate_nothing)


def _generate_nothing(latents: Tensor, labels: Tensor | None = None) -> Tensor:
    raise NotImplementedError("image-to-image models have no latents")


def _fork_rng(device: torch.device) -> AbstractContextManager[None]:
    # Translating during training must not change the random draws of the training steps.
    return torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])
