"""Checks whether the parts of a model fit each other and its paper."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ganforge.errors import ConfigError, require
from ganforge.models.engine.update import CriticSteps
from ganforge.networks.contract import ComparesRows, contract_of
from ganforge.regularizers.regularizer import Regularizer


def check_regularizers(
    terms: Mapping[str, Regularizer], generator: nn.Module, discriminator: nn.Module
) -> None:
    """Raises ConfigError if a regularizer does not fit its player or excludes another one."""
    players = {"generator": generator, "discriminator": discriminator}
    for term in terms.values():
        term.check(players[term.player])
    for (name, term), (other_name, other) in itertools.permutations(terms.items(), 2):
        for kind, reason in term.conflicts.items():
            if isinstance(other, kind):
                raise ConfigError(
                    f"regularizer: {name} and {other_name} exclude each other: {reason}"
                )


def check_networks(
    generator: nn.Module, discriminator: nn.Module, num_classes: int, packing: int
) -> None:
    """Raises ConfigError if a network's number of classes or packing differs from the model's."""
    require(packing >= 1, f"model.packing must be at least 1, got {packing}")
    require(
        packing == 1 or num_classes == 0,
        f"model.packing={packing}: a pack has one logit but several labels. Use model.packing=1 "
        "for a conditional model",
    )
    built = contract_of(discriminator).packing
    require(
        built == packing,
        f"model.packing is {packing}, but the discriminator is built for packing={built}",
    )
    for player, network in (("generator", generator), ("discriminator", discriminator)):
        classes = contract_of(network).num_classes
        require(
            classes == num_classes,
            f"the {player} is built for {classes} classes, but the model has {num_classes}",
        )


def check_joint(discriminator: nn.Module) -> None:
    """Raises ConfigError if a layer would compare reals with fakes that are judged together."""
    for name, layer in discriminator.named_modules():
        require(
            not isinstance(layer, _BatchNorm | ComparesRows),
            f"model.joint=true: the discriminator's {type(layer).__name__} ({name}) would "
            "compare reals with fakes. Use model.joint=false, or a discriminator without it",
        )


def check_numbers(
    critic_steps: int | CriticSteps, accumulate: int, clip_norm: float | None
) -> None:
    """Raises ConfigError for numbers of updates or parts, or a norm, that are not above 0."""
    if isinstance(critic_steps, int):
        require(critic_steps >= 1, f"model.critic_steps must be at least 1, got {critic_steps}")
    require(accumulate >= 1, f"model.accumulate must be at least 1, got {accumulate}")
    if clip_norm is not None:
        require(clip_norm > 0, f"model.clip_norm must be above 0 or null, got {clip_norm}")


def check_weights(**weights: float) -> None:
    """Raises ConfigError for a negative weight, by its argument's name."""
    for name, weight in weights.items():
        require(weight >= 0, f"model.{name} must be at least 0, got {weight}")


def mismatch(model: str, reason: str, remedy: str) -> ConfigError:
    """Returns the ConfigError for a model whose parts contradict its paper."""
    return ConfigError(f"model={model}: {reason}. Use {remedy}")


def refuse_batch_norm(model: str, discriminator: nn.Module, reason: str, remedy: str) -> None:
    """Raises ConfigError if the discriminator has batch normalization."""
    for name, layer in discriminator.named_modules():
        if isinstance(layer, _BatchNorm):
            raise mismatch(
                model, f"the discriminator has {type(layer).__name__} ({name}), {reason}", remedy
            )


def refuse_sigmoid(model: str, discriminator: nn.Module, reason: str) -> None:
    """Raises ConfigError if the discriminator's last layer is a sigmoid: losses take raw logits."""
    layers = [layer for layer in discriminator.modules() if not list(layer.children())]
    if layers and isinstance(layers[-1], nn.Sigmoid):
        raise mismatch(
            model, f"the discriminator ends in a sigmoid, {reason}", "a network with raw logits"
        )


def refuse_unconditional(model: str, network: nn.Module, player: str, remedy: str) -> None:
    """Raises ConfigError if a player of a conditional model is not conditioned on the label."""
    if contract_of(network).conditioning == "none":
        raise mismatch(model, f"the {player} is not conditioned on the label", remedy)


def check_auxiliary(model: str, network: nn.Module, expected: list[int], remedy: str) -> None:
    """Raises ConfigError unless the discriminator's auxiliary outputs have these lengths."""
    sizes = list(contract_of(network).auxiliary_sizes)
    if sizes != expected:
        raise mismatch(
            model,
            f"the discriminator has auxiliary outputs {sizes}, but the model needs {expected}",
            remedy,
        )
