from __future__ import annotations

from typing import Any, cast

from torch import Tensor

from ganforge.errors import ConfigError
from ganforge.models.engine.adversarial import Player
from ganforge.models.engine.batches import Batch
from ganforge.models.gan import GAN, refuse
from ganforge.regularizers.context import Turn
from ganforge.streams import Noise


class AuxiliaryGAN(GAN):
    """A game in which the discriminator says more of an image than its logit.

    The further outputs come from the pass that judges. A game overrides :meth:`auxiliary_loss`.
    """

    _outputs: list[Tensor] | None = None  # of this turn, while it is on

    def discriminator_loss(self, batch: Batch, noise: Noise) -> Tensor:
        """Returns what D minimises, its auxiliary term included."""
        self._outputs = []
        return super().discriminator_loss(batch, noise)

    def generator_loss(self, batch: Batch, noise: Noise) -> Tensor:
        """Returns what G minimises, its auxiliary term included."""
        self._outputs = []
        return super().generator_loss(batch, noise)

    def critic(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Returns the raw logits [B] of judged images, and keeps what else D says of them."""
        logits, outputs = cast(Any, self.discriminator).judge_and_classify(images, labels)
        if self._outputs is not None:
            self._outputs.append(outputs.float())  # as all that losses are computed of
        return cast(Tensor, logits).float()

    def penalties(self, player: Player, turn: Turn) -> Tensor:
        """Returns the weighted penalties and the player's auxiliary term, in float32."""
        # A turn judges first whom it is about: D's the reals and then the fakes, G's the fakes.
        # What penalties let D judge comes later.
        judged, self._outputs = self._outputs or [], None
        term = self.auxiliary_loss(player, judged, turn)
        return term + super().penalties(player, turn)

    def auxiliary_loss(self, player: Player, outputs: list[Tensor], turn: Turn) -> Tensor:
        """Returns what a player minimises besides the game, a scalar in float32.

        Args:
            player: whose turn it is.
            outputs: [B, A] float32: in the discriminator's turn those of reals and fakes, in the
                generator's those of fakes, and of reals where the loss is paired.
            turn: labels and latents of the fakes.
        """
        raise NotImplementedError

    def refuse_outputs(self, model: str, expected: list[int], remedy: str) -> None:
        """Refuses a discriminator whose auxiliary outputs are not of the lengths expected."""
        found = list(getattr(self.discriminator, "auxiliary_sizes", []))
        if found != expected:
            raise refuse(
                f"model={model}",
                f"the discriminator has auxiliary outputs {found}, and the game needs {expected}",
                remedy,
            )


def check_weights(**weights: float) -> None:
    """Refuses weights below 0, by their names."""
    for name, weight in weights.items():
        if weight < 0:
            raise ConfigError(f"model.{name} must be at least 0, got {weight}")
