from __future__ import annotations

import logging

import torch
from torch import Tensor

from ganforge.errors import ConfigError
from ganforge.metrics.features.base import FeatureExtractor
from ganforge.metrics.pairs.lpips import LEAST_SIDE, LPIPS, Network
from ganforge.metrics.scores.diversity import Diversity
from ganforge.metrics.source import ImageSource

log = logging.getLogger("ganforge")


class PerceptualDiversity(Diversity):
    """Mean learned perceptual distance of pairs of generated images, 0 for equal ones.

    Higher is more diverse. Zhang et al. 2018, arXiv:1801.03924; as a measure of diversity Zhu et
    al. 2017, arXiv:1711.11586. Left out, with a warning, if its network's weights are unavailable.
    Cannot see: what the real images are like, copies of training images.

    Args:
        pairs: maximum number of pairs.
        network: the classifier of LPIPS, "alex" or "vgg".
    """

    number = "diversity_lpips"
    higher_is_better = True

    def __init__(self, pairs: int = 500, network: Network = "alex") -> None:
        super().__init__(pairs)
        self.lpips = LPIPS(network)

    def prepare(self, data: ImageSource, shared: FeatureExtractor, device: torch.device) -> bool:
        """Loads the network; returns whether it is available and supports the images."""
        super().prepare(data, shared, device)
        least = LEAST_SIDE[self.lpips.network]
        if data.channels not in (1, 3) or data.image_size < least:
            fault = f"it takes grey or RGB images of {least} x {least} pixels and more"
        else:
            try:
                self.lpips.prepare(device)
                return True
            except ConfigError as missing:
                fault = str(missing)
        log.warning("NO %s in this run: %s", self.number, fault)
        return False

    def each(self, first: Tensor, second: Tensor) -> Tensor:
        """Returns the distance of each pair, [n], of uint8 images [n, C, H, W]."""
        self.lpips.reset(self.device)
        return self.lpips.each(first.float() / 255, second.float() / 255)

    def protocol(self) -> dict[str, str | int | float]:
        """Returns the pairs and the network."""
        return super().protocol() | {"network": self.lpips.network}
