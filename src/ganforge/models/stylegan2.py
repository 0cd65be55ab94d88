from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ganforge.models.engine.checks import mismatch
from ganforge.models.engine.optimizers import corrected
from ganforge.models.engine.update import Batch, Objective, Player, Update
from ganforge.models.gan import GAN
from ganforge.models.style_based import StyleBased
from ganforge.networks.contract import contract_of
from ganforge.networks.layers.styles import noise_maps
from ganforge.regularizers.context import GeneratorInputs, UpdateContext


class StyleGAN2(StyleBased, GAN):
    """StyleGAN2 (Karras et al. 2020, arXiv:1912.04958): modulated weights, path length penalty.

    Lazy regularization: regularizers with ``every`` > 1 get a separate update, after the update for
    the loss. Adam's constants are corrected for it (appendix B): with one additional update after
    every k, and c = k / (k + 1), the learning rate is multiplied by c and each beta is raised to
    the power c. Path lengths are measured on the synthesis network, with respect to the styles.

    With ``augment=ada`` it is StyleGAN2-ADA (Karras et al. 2020, arXiv:2006.06676).
    """

    separate = True

    def check(self) -> None:
        """Raises ConfigError if the generator has no styles."""
        if "synthesize" not in contract_of(self.generator).methods:
            raise mismatch(
                "stylegan2",
                "the generator has no styles",
                "network=stylegan2; or model=gan, which accepts any network",
            )

    # ------------------------------------------------------------------ the algorithm

    def step(self, player: Player, objective: Objective, batch: Batch) -> Batch:
        """Updates a player for the loss and, if due, for its lazy regularizers."""
        kept = self.update(player, objective, batch)
        last = self._updates[player] - 1
        if any(term.due(last) for term in self.critic.lazy(player)):
            self.update(player, self.lazy_loss, batch, lazy=True)
        self.constrain(player)
        return kept

    def lazy_loss(self, update: Update) -> Tensor:
        """Returns the weighted sum of a player's lazy regularizers, a scalar."""
        loss = self.penalties(update, self.lazy_context(update))
        if loss.requires_grad:
            return loss
        # No regularizer contributed yet; backward still needs a loss with a gradient.
        player = cast(nn.Module, getattr(self, update.player))
        return loss + 0 * next(player.parameters()).sum()

    def lazy_context(self, update: Update) -> UpdateContext:
        """Returns the context of a lazy update; images and logits are computed on first access.

        In the discriminator's update, generated images are detached from the generator.
        """
        critic, inputs, real = self.critic, self.inputs(update), update.batch["image"]
        compares = update.player == "discriminator" or self.loss.paired
        augmented = critic.augmented(real, update) if compares else real

        def fakes() -> Tensor:
            with torch.set_grad_enabled(update.player == "generator"):
                return inputs.generate(inputs.latents).float()

        # Regularizers draw from the same stream, after the augmentation of the fakes. Augmenting
        # zeros moves it there; the fakes themselves are only made, and kept, if one needs them.
        _ = update.draws
        ahead = dataclasses.replace(update, noise=update.noise.branched())
        with torch.no_grad():
            critic.augmented(torch.zeros_like(real), update)
        blank = augmented.new_zeros(0)  # replaced by the lazy attributes below
        context = critic.context(update, inputs, (real, blank), (augmented, blank), (None, blank))
        late = LazyContext(
            context,
            {
                "fake_images": fakes,
                "fake": lambda: critic.augmented(late.fake_images, ahead),
                "real_logits": lambda: context.critic(augmented) if compares else None,
                "fake_logits": lambda: context.critic(late.fake),
            },
        )
        return late

    # ------------------------------------------------------------------ styles

    def inputs(self, update: Update) -> GeneratorInputs:
        """Returns the inputs of the generator with functions to styles and from styles."""
        inputs = super().inputs(update)
        return dataclasses.replace(
            inputs,
            styled=lambda z, labels=inputs.labels: self.learned_styles(update, z, labels),
            synthesize=partial(self.synthesized, update),
        )

    def learned_styles(self, update: Update, z: Tensor, labels: Tensor | None) -> Tensor:
        """Returns the styles [B, num_ws, w_dim] of latents as in training, with style mixing."""
        network = cast(Any, self.generator)
        return self.mixed_styles(
            network, network.mapping(z, labels), labels, update.draws.restarted()
        )

    def synthesized(self, update: Update, ws: Tensor) -> Tensor:
        """Returns images [B, C, H, W] of styles ws, with the noise maps of this update."""
        network, draws = cast(Any, self.generator), update.draws.restarted()
        maps = noise_maps(draws.fork(), network.noise_sides, "random") or []
        return cast(Tensor, network.synthesize(ws, [drawn[: len(ws)] for drawn in maps]))

    def make_optimizer(self, player: Player) -> Optimizer:
        """Returns the optimizer of a player, corrected for its lazy updates."""
        # Without lazy regularizers lcm() is 1 and no update is added, so nothing is corrected.
        intervals = [term.every for term in self.critic.lazy(player)]
        period = math.lcm(*intervals)
        return corrected(super().make_optimizer(player), period, lazy_updates(intervals))


def lazy_updates(intervals: Sequence[int]) -> int:
    """Returns the number of updates in a period that are followed by a lazy update.

    A period is the least common multiple of the intervals. At update 0 all regularizers are due.
    """
    period = math.lcm(*intervals)
    return sum(any(update % every == 0 for every in intervals) for update in range(period))


class LazyContext(UpdateContext):
    """Context of an update with attributes that are computed on first access.

    A penalty in a separate update (lazy regularization, Karras et al. 2020, arXiv:1912.04958) needs
    few of them: R1 needs no generated image, the path length penalty no logit.

    Args:
        context: context with the attributes that are already known.
        late: functions that compute the other attributes, by name; they replace those of
            ``context``.
    """

    def __init__(self, context: UpdateContext, late: Mapping[str, Callable[[], Any]]) -> None:
        # UpdateContext is frozen: assignment raises, so attributes are written directly. Lazy
        # ones are left out, because __getattr__ is only called for missing attributes.
        vars(self).update({name: part for name, part in vars(context).items() if name not in late})
        vars(self)["_late"] = late

    def __getattr__(self, name: str) -> Any:
        """Computes a lazy attribute and caches it."""
        late = vars(self).get("_late", {})
        if name not in late:
            raise AttributeError(name)
        vars(self)[name] = value = late[name]()
        return value
