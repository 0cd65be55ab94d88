from __future__ import annotations

from ganforge.errors import ConfigError
from ganforge.metrics.pairs.direction import Direction
from ganforge.metrics.pairs.l1 import L1


class CycleL1(L1):
    """Mean absolute difference of images and their reconstructions, in pixel values of [0, 1].

    Cycle consistency of Zhu et al. 2017 (arXiv:1703.10593, section 3.2), on held-out images:
    ``cycle_l1_A`` is |F(G(a)) - a|, ``cycle_l1_B`` is |G(F(b)) - b|. Needs no pairs. Ignores the
    translations themselves: a game that changes nothing scores 0.
    """

    cyclic = True

    def check(self, name: str, direction: Direction) -> None:
        """Raises ConfigError for games with one direction, which have no reconstructions."""
        if direction.back is None:
            raise ConfigError(
                f"metrics={name} looks at images that went there and back, and this model only "
                f"translates {direction.name}. Leave it out of metrics=[...], or take "
                "model=cyclegan"
            )

    def published(self, name: str, direction: Direction) -> str:
        """Returns the score's name with the domain of the reconstructed images, "A" or "B"."""
        return f"{name}_{direction.start}"
