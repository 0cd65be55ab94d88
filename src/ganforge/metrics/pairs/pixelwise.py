from __future__ import annotations

from torch import Tensor

from ganforge.errors import ConfigError
from ganforge.metrics.pairs.direction import Direction
from ganforge.metrics.pairs.score import PairScore


class L1(PairScore):
    """Mean absolute difference of pixel values in [0, 1], 0 for equal images.

    The distance that Pix2Pix's generator minimizes (Isola et al. 2017, arXiv:1611.07004). Its loss
    uses pixel values in [-1, 1] and is therefore twice as large.
    """

    def each(self, outputs: Tensor, expected: Tensor) -> Tensor:
        """Returns mean |x - y| of each image, [n], from [n, C, H, W] in [0, 1]."""
        return (outputs - expected).abs().flatten(1).mean(1)


class CycleL1(L1):
    """Mean absolute difference of images and their reconstructions, in pixel values of [0, 1].

    Cycle consistency of Zhu et al. 2017 (arXiv:1703.10593, section 3.2), on held-out images:
    ``cycle_l1_A`` is |F(G(a)) - a|, ``cycle_l1_B`` is |G(F(b)) - b|. Needs no pairs. Ignores the
    translations themselves: a model that changes nothing scores 0.
    """

    cyclic = True

    def check(self, name: str, direction: Direction) -> None:
        """Raises ConfigError for models with one direction, which have no reconstructions."""
        if direction.back is None:
            raise ConfigError(
                f"metrics={name} needs translations in both directions, and this model only "
                f"translates {direction.name}. Leave it out of metrics=[...], or use model=cyclegan"
            )

    def published(self, name: str, direction: Direction) -> str:
        """Returns the score's name with the domain of the reconstructed images, "A" or "B"."""
        return f"{name}_{direction.start}"


class PSNR(PairScore):
    """Peak signal-to-noise ratio in decibels, 10 log10(1 / mean squared error) of [0, 1] pixels.

    Computed per image, then averaged; infinite if any image is equal to its target.
    """

    higher_is_better = True

    def each(self, outputs: Tensor, expected: Tensor) -> Tensor:
        """Returns the ratio of each image, [n], from [n, C, H, W] in [0, 1]."""
        # Imports all functions of torchmetrics and torchvision.
        from torchmetrics.functional.image import peak_signal_noise_ratio

        return peak_signal_noise_ratio(
            outputs, expected, data_range=1.0, reduction="none", dim=(1, 2, 3)
        )
