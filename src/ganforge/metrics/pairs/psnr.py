from __future__ import annotations

from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio

from ganforge.metrics.pairs.score import PairScore


class PSNR(PairScore):
    """Peak signal-to-noise ratio in decibels, 10 log10(1 / mean squared error) of [0, 1] pixels.

    Computed per image, then averaged; infinite if any image is equal to its target.
    """

    higher_is_better = True

    def each(self, outputs: Tensor, expected: Tensor) -> Tensor:
        """Returns the ratio of each image, [n], from [n, C, H, W] in [0, 1]."""
        return peak_signal_noise_ratio(
            outputs, expected, data_range=1.0, reduction="none", dim=(1, 2, 3)
        )
