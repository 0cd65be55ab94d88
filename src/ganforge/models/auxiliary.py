from __future__ import annotations

from typing import Any, cast

from torch import Tensor

from ganforge.models.engine.checks import mismatch
from ganforge.models.engine.types import Player
from ganforge.models.gan import GAN
from ganforge.regularizers.context import UpdateContext
from ganforge.streams import Noise


class AuxiliaryGAN(GAN):
    """GAN whose discriminator returns auxiliary outputs (class, codes) in addition to the logit.

    Both come from the same forward pass. Subclasses override :meth:`auxiliary_loss`.
    """

    _outputs: list[Tensor] | None = None  # auxiliary outputs collected during an update

    def begin_update(self, player: Player, noise: Noise) -> None:
        """Starts to collect the auxiliary outputs."""
        self._outputs = []

    def critic(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Returns the raw logits [B] of images and collects the auxiliary outputs."""
        logits, outputs = cast(Any, self.discriminator).logits_and_auxiliary(images, labels)
        if self._outputs is not None:
            self._outputs.append(outputs.float())  # losses are computed in float32
        return cast(Tensor, logits).float()

    def penalties(self, player: Player, context: UpdateContext) -> Tensor:
        """Returns the weighted penalties plus the player's auxiliary loss, in float32."""
        # The outputs collected so far are those of the adversarial loss (D: reals, then fakes; G:
        # fakes). Collecting stops here, because penalties call the discriminator as well.
        augmented, self._outputs = self._outputs or [], None
        term = self.auxiliary_loss(player, augmented, context)
        return term + super().penalties(player, context)

    def auxiliary_loss(
        self, player: Player, outputs: list[Tensor], context: UpdateContext
    ) -> Tensor:
        """Returns the term added to a player's adversarial loss, a float32 scalar.

        Args:
            player: the player that is updated.
            outputs: auxiliary outputs [B, A], float32: those of reals and fakes in the
                discriminator's update; those of fakes, then of reals if the loss is paired, in the
                generator's update.
            context: context of the update, with the labels and latents of the fakes.
        """
        raise NotImplementedError

    def refuse_outputs(self, model: str, expected: list[int], remedy: str) -> None:
        """Raises ConfigError unless the discriminator's auxiliary outputs have these lengths."""
        sizes = list(getattr(self.discriminator, "auxiliary_sizes", []))
        if sizes != expected:
            raise mismatch(
                model,
                f"the discriminator has auxiliary outputs {sizes}, but the model needs {expected}",
                remedy,
            )
