from __future__ import annotations

import logging
from collections.abc import Hashable

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from ganforge.errors import ConfigError
from ganforge.metrics.features.base import FeatureExtractor
from ganforge.metrics.features.pixels import Pixels
from ganforge.metrics.features.points import refuse_points
from ganforge.metrics.pairs.lpips import LPIPS, Network
from ganforge.metrics.rows import generator
from ganforge.metrics.scores.score import Score, ScoreValue
from ganforge.metrics.source import ImageSource
from ganforge.streams import Stream, mix

log = logging.getLogger("ganforge")

CHUNK = 50  # pairs per batch
WINDOW = 11  # side of the window of MS-SSIM, in pixels
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of its scales


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
    name: str
    pixels: Pixels

    def __init__(self, pairs: int = 500) -> None:
        if pairs < 1:
            raise ConfigError(f"{self.name}: pairs must be at least 1, got {pairs}")
        self.pairs = pairs

    def prepare(self, data: ImageSource, shared: FeatureExtractor, device: torch.device) -> bool:
        """Sets up access to pixels; raises ConfigError if the data are points, not images."""
        refuse_points(data, f"metrics={self.name}")
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


class ImagePairs(Metric):
    """Keeps the images of randomly drawn pairs.

    No image is in two pairs. The pairs depend only on seed, n and number of pairs, not on the order
    of classes, on batches or on the number of processes.

    Args:
        pairs: number of pairs, at most n / 2.
        n: number of images, over all processes.
        seed: seed of the draw.
        first: index of this process's first image among all.
    """

    full_state_update = False
    rows: list[Tensor]

    def __init__(self, pairs: int, n: int, seed: int, first: int = 0) -> None:
        super().__init__()
        self.pairs = pairs
        self.position = first
        # Indices of the first image of each pair, then of the second ones.
        self.drawn = torch.randperm(n, generator=generator(mix(seed, Stream.PAIRS)))[: 2 * pairs]
        self.add_state("rows", [], dist_reduce_fx="cat")

    def update(self, rows: Tensor) -> None:
        """Adds those of this process's next images [n, width] that are in a pair."""
        positions = torch.arange(self.position, self.position + len(rows))
        self.position += len(rows)
        self.rows.append(rows[torch.isin(positions, self.drawn).to(rows.device)])

    def compute(self) -> tuple[Tensor, Tensor]:
        """Returns the pairs' first and second images, [pairs, width] each."""
        rows = dim_zero_cat(self.rows)  # in the order of the images
        # The rank of each drawn index is the position of that image in ``rows``.
        rank = self.drawn.argsort().argsort().to(rows.device)
        return rows[rank[: self.pairs]], rows[rank[self.pairs :]]


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

    name = "diversity_ms_ssim"

    def prepare(self, data: ImageSource, shared: FeatureExtractor, device: torch.device) -> bool:
        """Sets the number of scales; raises ConfigError for images smaller than the window."""
        super().prepare(data, shared, device)
        self.scales = scales_of(data.image_size)
        if self.scales == 0:
            raise ConfigError(
                f"metrics={self.name} uses a window of {WINDOW} x {WINDOW} pixels, and the images "
                f"are {data.image_size} x {data.image_size}. Leave it out of metrics=[...], or use "
                f"data.image_size={WINDOW} or more"
            )
        return True

    def each(self, first: Tensor, second: Tensor) -> Tensor:
        """Returns the similarity of each pair, [n], of uint8 images [n, C, H, W]."""
        # Imports all functions of torchmetrics and torchvision.
        from torchmetrics.functional.image import (
            multiscale_structural_similarity_index_measure as multiscale_similarity,
        )

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


class PerceptualDiversity(Diversity):
    """Mean learned perceptual distance of pairs of generated images, 0 for equal ones.

    Higher is more diverse. Zhang et al. 2018, arXiv:1801.03924; as a measure of diversity Zhu et
    al. 2017, arXiv:1711.11586. Left out, with a warning, if its network's weights are unavailable.
    Cannot see: what the real images are like, copies of training images.

    Args:
        pairs: maximum number of pairs.
        network: the classifier of LPIPS, "alex" or "vgg".
    """

    name = "diversity_lpips"
    higher_is_better = True

    def __init__(self, pairs: int = 500, network: Network = "alex") -> None:
        super().__init__(pairs)
        self.lpips = LPIPS(network)

    def prepare(self, data: ImageSource, shared: FeatureExtractor, device: torch.device) -> bool:
        """Loads the network; returns whether it is available and supports the images."""
        super().prepare(data, shared, device)
        reason = self.lpips.why_unavailable(data, device)
        if reason:
            log.warning("NO %s in this run: %s", self.name, reason)
        return not reason

    def each(self, first: Tensor, second: Tensor) -> Tensor:
        """Returns the distance of each pair, [n], of uint8 images [n, C, H, W]."""
        self.lpips.reset(self.device)
        return self.lpips.each(first.float() / 255, second.float() / 255)

    def protocol(self) -> dict[str, str | int | float]:
        """Returns the pairs and the network."""
        return super().protocol() | {"network": self.lpips.network}
