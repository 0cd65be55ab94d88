from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from ganforge.errors import ConfigError
from ganforge.regularizers.context import Critic, Turn
from ganforge.streams import Noise


class Regularizer(nn.Module):
    """A term added to a player's loss, or a constraint put on its weights after each update.

    A penalty on the critic's behaviour at images overrides :meth:`penalty`; a term that looks at
    more than that overrides :meth:`term`.

    Args:
        weight: factor of the penalty.
        every: the penalty is applied at every n-th update of its player and scaled by n, which
            keeps its mean strength (lazy regularization, Karras et al. 2020, arXiv:1912.04958).

    Attributes:
        player: who is regularized, "discriminator" or "generator".
        of_latents: it is about the latents that images are made of.
        conflicts: kinds that can't stand beside this one, each with the reason and a way out.
    """

    player: str = "discriminator"
    conflicts: Mapping[type[Regularizer], str] = {}
    of_latents: bool = False

    def __init__(self, weight: float = 1.0, every: int = 1) -> None:
        super().__init__()
        if weight < 0:
            raise ConfigError(f"{type(self).__name__}: weight must be at least 0, got {weight}")
        if every < 1:
            raise ConfigError(f"{type(self).__name__}: every must be at least 1, got {every}")
        self.weight = weight
        self.every = every

    def term(self, turn: Turn) -> Tensor | None:
        """Returns the unweighted term of this turn, a scalar; None where there is none.

        Called in float32, outside autocast.
        """
        return self.penalty(turn.critic, turn.real, turn.fake, turn.noise)

    def kept(self, fake_logits: Tensor, images_seen: int) -> Tensor | None:
        """Returns which generated images count in the generator's loss: indices, or None for all.

        Args:
            fake_logits: [B] raw logits.
            images_seen: real images that the discriminator has seen before this step.
        """
        return None

    def penalty(self, critic: Critic, real: Tensor, fake: Tensor, noise: Noise) -> Tensor | None:
        """Returns the unweighted penalty, a scalar; None where there is none.

        Called in float32, outside autocast.

        Args:
            critic: maps images [B, C, H, W] to raw logits [B].
            real: [B, C, H, W] in [-1, 1].
            fake: [B, C, H, W] in [-1, 1], detached from the generator.
            noise: random draws of this update.
        """
        return None

    def weight_at(self, images_seen: int) -> float:
        """Returns the factor of the penalty after so many real images; by default the weight."""
        return self.weight

    def constrain(self, player: nn.Module) -> None:
        """Changes the weights of ``player`` in place, right after its optimizer's step."""

    def check(self, player: nn.Module) -> None:
        """Raises ConfigError when ``player`` cannot be regularized in this way."""

    def due(self, update: int) -> bool:
        """Whether the penalty is applied at the player's ``update``, counted from 0."""
        return update % self.every == 0
