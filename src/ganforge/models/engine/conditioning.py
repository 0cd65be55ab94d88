from __future__ import annotations

from torch import nn

from ganforge.models.gan import GAN, refuse


def refuse_unconditional(model: str, game: GAN, player: str, remedy: str) -> None:
    """Refuses a player of a conditional game that is not told the label.

    Args:
        model: the game's option.
        game: whose player it is.
        player: "generator" or "discriminator".
        remedy: the option that tells it.
    """
    if conditioning(getattr(game, player)) == "none":
        raise refuse(f"model={model}", f"the {player} is not told the label", remedy)


def conditioning(network: nn.Module) -> str:
    """Returns how labels get into a network; "none" for one that knows of none."""
    return str(getattr(network, "conditioning", "none"))
