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

CHUNK = 50  # pairs looked at together


class Diversity(Score):
    """The mean of a similarity or distance over pairs of generated images.

    Pairs are drawn at random from all images, whatever their classes, and share no image. Real
    images are not looked at: what a value means, the same of real images tells. Blind to quality:
    noise is diverse.

    Args:
        pairs: pairs of images, at most; half as many as images where that is less.
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
        """Refuses data that are no images."""
        refuse_points_for(data, self.number)
        self.extractor = self.pixels = Pixels(data, device)
        return True

    def family(self) -> Hashable:
        """Returns what these scores have in common: the same pairs."""
        return (ImagePairs, self.pairs)

    def update(self, values: Tensor, real: bool) -> None:
        """Takes this process's next images, as rows of bytes [n, C H W]."""
        self.metric.update(values.to(self.device))

    def compute(self, seed: int = 0) -> ScoreValue:
        """Returns the mean over the pairs, which were drawn when the evaluation began."""
        halves = [torch.split(self.pixels.images(rows), CHUNK) for rows in self.metric.compute()]
        values = [self.each(*pair).double() for pair in zip(*halves, strict=True)]
        return ScoreValue(float(torch.cat(values).mean()), None)

    def each(self, first: Tensor, second: Tensor) -> Tensor:
        """Returns the number of each pair, [n], of uint8 images [n, C, H, W]."""
        raise NotImplementedError

    def protocol(self) -> dict[str, str | int | float]:
        """Returns the number of pairs, and how they were made."""
        return {"pairs": self._used, "pairing": "random"}

    def _build(self, width: int, n_real: int, n_fake: int) -> Metric:
        self._used = min(self.pairs, n_fake // 2)
        return ImagePairs(self._used, n_fake, self.seed, self.first)
