from __future__ import annotations

from torch import Tensor

from ganforge.metrics.pairs.score import PairScore


class L1(PairScore):
    """Mean absolute difference of pixel values in [0, 1], 0 for equal images.

    The distance that Pix2Pix's generator minimises (Isola et al. 2017, arXiv:1611.07004). Its loss
    uses pixel values in [-1, 1] and is therefore twice as large.
    """

    def each(self, outputs: Tensor, expected: Tensor) -> Tensor:
        """Returns mean |x - y| of each image, [n], from [n, C, H, W] in [0, 1]."""
        return (outputs - expected).abs().flatten(1).mean(1)
