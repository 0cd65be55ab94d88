from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics.functional.image import (
    multiscale_structural_similarity_index_measure as multiscale_similarity,
)

from ganforge.errors import ConfigError
from ganforge.metrics.features.base import FeatureExtractor
from ganforge.metrics.scores.diversity import Diversity
from ganforge.metrics.source import ImageSource

WINDOW = 11
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


class MultiscaleSimilarity(Diversity):
    """Mean multi-scale structural similarity of pairs of generated images, 1 for equal ones.

    Lower is more diverse. Wang et al. 2003, "Multiscale structural similarity for image quality
    assessment"; as a measure of diversity Odena et al. 2017, arXiv:1610.09585. Images too small for
    the 11 x 11 window at all five scales use fewer scales, with weights rescaled to sum to 1: see
    the protocol. Cannot see: noise, which looks diverse, a few dropped classes or duplicates,
    copies of training images.

    Args:
        pairs: maximum number of pairs.
    """

    number = "diversity_ms_ssim"

    def prepare(self, data: ImageSource, shared: FeatureExtractor, device: torch.device) -> bool:
        """Sets the number of scales; raises ConfigError for images smaller than the window."""
        super().prepare(data, shared, device)
        self.scales = scales_of(data.image_size)
        if self.scales == 0:
            raise ConfigError(
                f"metrics={self.number} looks through a window of {WINDOW} x {WINDOW} pixels, and "
                f"the images are {data.image_size} x {data.image_size}. Leave it out of "
                f"metrics=[...], or take data.image_size={WINDOW} or more"
            )
        return True

    def each(self, first: Tensor, second: Tensor) -> Tensor:
        """Returns the similarity of each pair, [n], of uint8 images [n, C, H, W]."""
        similarity = multiscale_similarity(
            first.float() / 255,
            second.float() / 255,
            reduction="none",
            data_range=1.0,
            betas=weights_of(self.scales),
            normalize="relu",
        )
        return torch.as_tensor(similarity).reshape(-1)

    def protocol(self) -> dict[str, str | int | float]:
        """Returns the pairs and the number of scales."""
        return super().protocol() | {"scales": self.scales}


def weights_of(scales: int) -> tuple[float, ...]:
    """Returns the exponents of the scales: as published for five, else rescaled to sum to 1."""
    if scales == len(WEIGHTS):
        return WEIGHTS  # the published values sum to 1.0001
    return tuple(weight / sum(WEIGHTS[:scales]) for weight in WEIGHTS[:scales])


def scales_of(side: int) -> int:
    """Returns the number of scales for images of ``side`` pixels, 0 to 5."""
    # torchmetrics requires side // (scales - 1)^2 to be at least the window.
    fitting = [s for s in range(1, 6) if side // max(1, s - 1) ** 2 >= WINDOW and side >= 2**s]
    return max(fitting, default=0)
