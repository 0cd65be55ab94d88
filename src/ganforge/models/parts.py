"""Typed keyword arguments that models pass to their base classes (``**parts: Unpack[...]``)."""

from __future__ import annotations

from typing import Required, TypedDict

from torch import nn

from ganforge.augment.augmentation import Augmentation
from ganforge.losses.adversarial_loss import AdversarialLoss
from ganforge.models.engine.averaging import ExponentialMovingAverage
from ganforge.models.engine.update import CriticSteps, OptimizerFactory, Schedule
from ganforge.regularizers.regularizer import Regularizer


class AdversarialParts(TypedDict, total=False):
    """Arguments of AdversarialModule."""

    generator: Required[nn.Module]
    discriminator: Required[nn.Module]
    generator_optimizer: Required[OptimizerFactory]
    discriminator_optimizer: Required[OptimizerFactory]
    generator_schedule: Schedule
    discriminator_schedule: Schedule
    average: ExponentialMovingAverage | None
    critic_steps: int | CriticSteps
    accumulate: int
    clip_norm: float | None
    seed: int


class GANParts(AdversarialParts, total=False):
    """Arguments of GAN."""

    loss: Required[AdversarialLoss]
    regularizers: dict[str, Regularizer] | None
    augment: Augmentation | None
    num_classes: int
    packing: int
    joint: bool


class StyleParts(GANParts, total=False):
    """Arguments of StyleBased."""

    style_mixing: float
    truncation: float | None
    truncation_cutoff: int | None
    noise: str


class TranslationParts(AdversarialParts, total=False):
    """Arguments of TranslationModel, except the weights, whose defaults each model sets itself."""

    loss: Required[AdversarialLoss]
    regularizers: dict[str, Regularizer] | None
    augment: Augmentation | None
    direction: str
