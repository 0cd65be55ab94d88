from __future__ import annotations

from collections.abc import Hashable

import torch
from torch import Tensor
from torchmetrics import Metric

from ganforge.errors import ConfigError
from ganforge.metrics.features.base import FeatureExtractor
from ganforge.metrics.features.pixels import Pixels, refuse_points_for
from ganforge.metrics.scores.image_pairs import ImagePairs
from ganforge.metrics.scores.score import Score, ScoreValue
from ganforge.metrics.source import ImageSource

CHUNK = 50  # pairs per batch


class Diversity(Score):
    """Base class of scores that average a similarity or distance over pairs of generated images.

    Pairs are drawn at random from all images regardless of class, and no image is in two pairs.
    Real images are not used; for reference, compute the same score on real images. Insensitive to
    quality: noise is diverse.

    Args:
        pairs: maximum number of pairs; at most half the number of images is used.
    """

    needs_real = False
    suffixed = False
    number: str
    pixels: Pixels

    def __init__(self, pairs: int = 500) -> None:
        if pairs < 1:
            raise ConfigError(f"{self.number}: pairs must be at least 1, got {pairs}")
        self.pairs = pairs

    def prepare(self, data: ImageSource, shared: FeatureExtractor, device: torch.device) -> bool:
        """Sets up access to pixels; raises ConfigError if the data are points, not images."""
        refuse_points_for(data, self.number)
        self.extractor = self.pixels = Pixels(data, device)
        return True

    def family(self) -> Hashable:
        """Returns the key shared by all scores of the same pairs."""
        return (ImagePairs, self.pairs)

    def update(self, values: Tensor, real: bool) -> None:
        """Adds this process's next images, as uint8 rows [n, C H W]."""
        self.metric.update(values.to(self.device))

    def compute(self, seed: int = 0) -> ScoreValue:
        """Returns the mean over the pairs, which were drawn at the reset; ignores ``seed``."""
        halves = [torch.split(self.pixels.images(rows), CHUNK) for rows in self.metric.compute()]
        values = [self.each(*pair).double() for pair in zip(*halves, strict=True)]
        return ScoreValue(float(torch.cat(values).mean()), None)

    def each(self, first: Tensor, second: Tensor) -> Tensor:
        """Returns the value of each pair of uint8 images [n, C, H, W], [n]."""
        raise NotImplementedError

    def protocol(self) -> dict[str, str | int | float]:
        """Returns the number of pairs and how they were drawn."""
        return {"pairs": self._used, "pairing": "random"}

    def _build(self, width: int, n_real: int, n_fake: int) -> Metric:
        self._used = min(self.pairs, n_fake // 2)
        return ImagePairs(self._used, n_fake, self.seed, self.first)
