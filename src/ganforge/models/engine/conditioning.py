from __future__ import annotations

from torch import nn

from ganforge.models.gan import GAN, refuse


def refuse_unconditional(model: str, game: GAN, player: str, remedy: str) -> None:
    """Raises ConfigError if a player of a conditional model is not conditioned on the label.

    Args:
        model: name of the model's config option.
        game: the model.
        player: "generator" or "discriminator".
        remedy: option that conditions the player, for the message.
    """
    if conditioning(getattr(game, player)) == "none":
        raise refuse(f"model={model}", f"the {player} is not told the label", remedy)


def conditioning(network: nn.Module) -> str:
    """Returns how labels enter a network; "none" if they do not."""
    return str(getattr(network, "conditioning", "none"))
