from __future__ import annotations

import math
from typing import Unpack

import torch
import torch.nn.functional as F
from torch import Tensor

from ganforge.errors import ConfigError
from ganforge.models.engine.checks import (
    check_auxiliary,
    check_weights,
    mismatch,
    refuse_unconditional,
)
from ganforge.models.engine.update import Batch, Update
from ganforge.models.gan import GAN
from ganforge.models.parts import GANParts
from ganforge.networks.contract import contract_of
from ganforge.regularizers.context import UpdateContext
from ganforge.streams import Noise


class InfoGAN(GAN):
    """InfoGAN (Chen et al. 2016, arXiv:1606.03657):  min_{G,Q} max_D V(D, G) - lambda L_I(G, Q).

    The generator learns, without labels, codes that can be predicted from its images. The
    categorical code is the class; continuous codes are uniform in [-1, 1) and are the last entries
    of the latent. A posterior Q predicts the codes of an image, and

        L_I = E[log Q(c | G(z, c))] + H(c) <= I(c; G(z, c))

    is a lower bound of the mutual information. For a continuous code, Q is a Gaussian of variance 1
    around the predicted mean (the authors fix the variance too).

    Q shares all layers of D except its own linear layer, and the discriminator's optimizer updates
    both. Both updates therefore minimize -lambda L_I, as in the authors' code: D's update trains Q
    on its fakes, G's update trains the generator. The discriminator returns ``num_classes`` +
    ``continuous`` auxiliary outputs in addition to the logit.

    Args:
        continuous: number of continuous codes.
        categorical_weight: lambda of the categorical code.
        continuous_weight: lambda of the continuous codes.
        **parts: see GAN.
    """

    classes_are_labels = False
    auxiliary = True

    def __init__(
        self,
        *,
        continuous: int = 2,
        categorical_weight: float = 1.0,
        continuous_weight: float = 0.1,
        **parts: Unpack[GANParts],
    ) -> None:
        super().__init__(**parts)
        check_weights(categorical_weight=categorical_weight, continuous_weight=continuous_weight)
        self.continuous = continuous
        self.categorical_weight = categorical_weight
        self.continuous_weight = continuous_weight
        if self.num_classes < 2:
            raise mismatch(
                "infogan",
                f"the categorical code has {self.num_classes} values",
                "condition=code, with condition.num_classes=2 or more",
            )
        latent_dim = contract_of(self.generator).latent_dim
        if not 0 <= self.continuous < latent_dim:
            raise ConfigError(
                f"model.continuous must be at least 0 and below the generator's latent_dim="
                f"{latent_dim}, got {self.continuous}"
            )
        refuse_unconditional("infogan", self.generator, "generator", "condition=code")
        expected = [self.num_classes, self.continuous]
        check_auxiliary("infogan", self.discriminator, expected, "condition=code")

    def labels(self, batch: Batch, noise: Noise) -> Tensor:
        """Returns uniform categorical codes, int64 [B]; labels of the data are not used."""
        return noise.integers(self.num_classes)

    def latents(self, noise: Noise) -> Tensor:
        """Returns latents [B, latent_dim]: Gaussian noise, then the continuous codes."""
        z = super().latents(noise)
        codes = 2 * noise.uniform(self.continuous) - 1
        return torch.cat([z[:, : z.shape[1] - self.continuous], codes], dim=1)

    def penalties(self, update: Update, context: UpdateContext) -> Tensor:
        """Returns -lambda L_I plus the weighted sum of the regularizers due at this update."""
        return self.surprise(update, context) + super().penalties(update, context)

    def surprise(self, update: Update, context: UpdateContext) -> Tensor:
        """Returns -lambda L_I of this update's fakes, up to constants."""
        fakes, player = context.auxiliary[1], update.player
        assert context.labels is not None
        assert fakes is not None
        categorical, continuous = fakes.tensor_split([self.num_classes], dim=1)
        categorical_surprise = F.cross_entropy(categorical, context.labels)
        correct = (categorical.argmax(1) == context.labels).float().mean()
        update.observe(f"{player}/information", math.log(self.num_classes) - categorical_surprise)
        update.observe(f"{player}/code_accuracy", correct)
        codes = context.latents[:, context.latents.shape[1] - self.continuous :]
        continuous_surprise = gaussian_surprise(codes, continuous)
        if self.continuous:
            update.observe(f"{player}/continuous_surprise", continuous_surprise)
        return (
            self.categorical_weight * categorical_surprise
            + self.continuous_weight * continuous_surprise
        )


def gaussian_surprise(codes: Tensor, guesses: Tensor) -> Tensor:
    """Returns -E[sum_j log N(c_j; guess_j, 1)] without its constant, a scalar.

    Args:
        codes: [B, k].
        guesses: means that the posterior predicts, [B, k].
    """
    return (codes - guesses).square().sum(dim=1).mean() / 2
