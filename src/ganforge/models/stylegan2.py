from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ganforge.models.engine.checks import mismatch
from ganforge.models.engine.optimizers import corrected, uncounted
from ganforge.models.engine.regularize import penalties
from ganforge.models.engine.types import Batch, Objective, Player
from ganforge.models.style_based import StyleBased
from ganforge.networks.layers.noise_input import noise_maps
from ganforge.regularizers.context import UpdateContext
from ganforge.regularizers.regularizer import Regularizer
from ganforge.streams import Noise, Substream, mix


class StyleGAN2(StyleBased):
    """StyleGAN2 (Karras et al. 2020, arXiv:1912.04958): modulated weights, path length penalty.

    Lazy regularization: regularizers with ``every`` > 1 get a separate update, after the update for
    the loss. Adam's constants are corrected for it (appendix B): with one additional update after
    every k, and c = k / (k + 1), the learning rate is multiplied by c and each beta is raised to
    the power c. Path lengths are measured on the synthesis network, with respect to the styles.

    With ``augment=ada`` it is StyleGAN2-ADA (Karras et al. 2020, arXiv:2006.06676).
    """

    _regularizing = False  # whether the current update is for lazy regularizers only

    def check(self) -> None:
        """Raises ConfigError if the generator has no styles."""
        if not hasattr(self.generator, "synthesize"):
            raise mismatch(
                "stylegan2",
                "the generator has no styles",
                "network=stylegan2; or model=gan, which accepts any network",
            )

    # ------------------------------------------------------------------ the algorithm

    def step(self, player: Player, objective: Objective, batch: Batch) -> None:
        """Updates a player for the loss and, if due, for its lazy regularizers."""
        self.update(player, objective, batch)
        self.regularize(player, batch)
        self.constrain(player)

    def regularize(self, player: Player, batch: Batch) -> None:
        """Updates a player for the lazy regularizers due after its last update, if any."""
        update = self._updates[player] - 1
        if not any(term.due(update) for term in self._terms(player, lazy=True).values()):
            return
        self._updates[player] = update  # counted as part of the same update
        self._regularizing = True
        try:
            with uncounted(self._optimizer(player)):
                self.update(player, lambda part, noise: self.lazy_loss(player, part, noise), batch)
        finally:
            self._regularizing = False

    def lazy_loss(self, player: Player, batch: Batch, noise: Noise) -> Tensor:
        """Returns the weighted sum of a player's lazy regularizers, a scalar."""
        self._draws = noise.fork()
        loss = self.penalties(player, self.lazy_context(player, batch, noise))
        if loss.requires_grad:
            return loss
        # No regularizer contributed yet; backward still needs a loss with a gradient.
        return loss + 0 * next(cast(nn.Module, getattr(self, player)).parameters()).sum()

    def penalties(self, player: Player, context: UpdateContext) -> Tensor:
        """Returns the weighted sum of the due regularizers (lazy or not, by update), in float32."""
        if not self._regularizing:
            context = self.with_styles(context)
        terms = self._terms(player, lazy=self._regularizing)
        return penalties(terms, player, self._updates[player], context, self.observe)

    def lazy_context(self, player: Player, batch: Batch, noise: Noise) -> UpdateContext:
        """Returns the context of a lazy update; images and logits are computed on first access.

        In the discriminator's update, generated images are detached from the generator.
        """
        labels, z, real = self.labels(batch, noise), self.latents(noise), batch["image"]
        compares = player == "discriminator" or self.loss.paired
        augmented = self.augmented(real, noise) if compares else real

        def fakes() -> Tensor:
            with torch.set_grad_enabled(player == "generator"):
                return self.images(self.generator, z, labels).float()

        blank = augmented.new_zeros(0)
        context = self.context((real, blank), (augmented, blank), (None, blank), z, labels, noise)
        late = LazyContext(
            self.with_styles(context),
            {
                "fake_images": fakes,
                "fake": lambda: self.augmented(late.fake_images, noise),
                "real_logits": lambda: self.critic(augmented, labels) if compares else None,
                "fake_logits": lambda: self.critic(late.fake, labels),
            },
        )
        return late

    def with_styles(self, context: UpdateContext) -> UpdateContext:
        """Returns the context with the functions from latents to styles and to images."""
        labels = context.labels
        return dataclasses.replace(
            context,
            styled=lambda latents, classes=labels: self.learned_styles(latents, classes),
            synthesize=self.synthesized,
        )

    # ------------------------------------------------------------------ styles

    def learned_styles(self, z: Tensor, labels: Tensor | None) -> Tensor:
        """Returns the styles [B, num_ws, w_dim] of latents as in training, with style mixing."""
        network, draws = cast(Any, self.generator), cast(Noise, self._draws).restarted()
        return self.mixed_styles(network, network.mapping(z, labels), labels, draws)

    def synthesized(self, ws: Tensor) -> Tensor:
        """Returns images [B, C, H, W] of styles ws, with the noise maps of this update."""
        network, draws = cast(Any, self.generator), cast(Noise, self._draws).restarted()
        maps = noise_maps(draws.fork(), network.noise_sides, "random") or []
        return cast(Tensor, network.synthesize(ws, [drawn[: len(ws)] for drawn in maps]))

    # ------------------------------------------------------------------ internals

    def observe(self, name: str, value: Tensor | float, lasting: bool = False) -> None:
        """Records a scalar for this step's log point; in lazy updates, only lasting ones."""
        if lasting or not self._regularizing:
            super().observe(name, value, lasting)

    def _terms(self, player: Player, lazy: bool) -> dict[str, Regularizer]:
        terms = self._regularizers().items()
        return {n: t for n, t in terms if t.player == player and (t.every > 1) == lazy}

    def _noise(self, player: Player, rows: int) -> Noise:
        noise = super()._noise(player, rows)
        if not self._regularizing:
            return noise
        return Noise(mix(noise.seed, Substream.LAZY), rows, noise.device, noise.rank, noise.world)

    def _make_optimizer(self, player: Player) -> Optimizer:
        # Without lazy regularizers lcm() is 1 and no update is added, so nothing is corrected.
        intervals = [term.every for term in self._terms(player, lazy=True).values()]
        period = math.lcm(*intervals)
        return corrected(super()._make_optimizer(player), period, lazy_updates(intervals))


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
