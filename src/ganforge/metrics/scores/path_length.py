from __future__ import annotations

import logging

import torch
from torch import Tensor
from torchmetrics import Metric

from ganforge.errors import ConfigError
from ganforge.metrics.features.base import FeatureExtractor
from ganforge.metrics.features.points import refuse_points
from ganforge.metrics.pairs.lpips import LPIPS, Network
from ganforge.metrics.rows import Rows
from ganforge.metrics.scores.score import Paths, PathScore, ScoreValue
from ganforge.metrics.source import ImageSource

log = logging.getLogger("ganforge")


class PathLength(PathScore):
    """Rate of change of images along paths through the latent space: mean of d(t, t + e) / e^2.

    The perceptual path length of Karras et al. 2019 (arXiv:1812.04948, section 4.1), on full paths:
    in W for style-based models, in Z for others. Shorter paths mean a smoother space. d is LPIPS
    with VGG. The highest and the lowest 1% are left out, as in the authors' code; unlike there,
    images are neither cropped nor resized. Insensitive to quality and variety: a constant generator
    has length 0.

    If LPIPS is unavailable, d is the squared distance of the run's features and the score is named
    ``feature_path_length``; such lengths are comparable only for the same features.

    Args:
        paths: number of paths, rounded up to whole blocks of 64.
        epsilon: step, as a share of the path.
        network: the classifier of LPIPS, "alex" or "vgg".
    """

    suffixed = False

    def __init__(self, paths: int = 2048, epsilon: float = 1e-4, network: Network = "vgg") -> None:
        if paths < 1:
            raise ConfigError(f"perceptual_path_length: paths must be at least 1, got {paths}")
        if not 0 < epsilon < 1:
            raise ConfigError(
                f"perceptual_path_length: epsilon must be between 0 and 1, got {epsilon}"
            )
        self.paths = paths
        self.epsilon = epsilon
        self.lpips = LPIPS(network)
        self.perceptual = False
        self.space = ""
        self.used = 0

    def published(self, name: str, shared: FeatureExtractor) -> str:
        """Returns the published name, which depends on whether LPIPS or features are used."""
        return name if self.perceptual else f"feature_path_length{shared.suffix}"

    def prepare(self, data: ImageSource, shared: FeatureExtractor, device: torch.device) -> bool:
        """Loads LPIPS; falls back to the run's extractor, with a warning, if unavailable."""
        refuse_points(data, "metrics=perceptual_path_length")
        self.shared = shared
        reason = self.lpips.why_unavailable(data, device)
        self.perceptual = not reason
        if reason:
            log.warning("feature_path_length replaces perceptual_path_length: %s", reason)
        return True

    def update_paths(self, paths: Paths, rank: int, world: int) -> None:
        """Updates the score with this process's share of the paths."""
        blocks = -(-self.paths // paths.size)
        self.used, self.space = blocks * paths.size, paths.space
        # A process without a block must still have a state to gather.
        self.metric.update(lengths=torch.zeros(0, dtype=torch.float64, device=self.device))
        # Whole blocks, as rounding errors depend on the batch size and epsilon amplifies them: the
        # result is then the same for any number of processes.
        for block in range(blocks * rank // world, blocks * (rank + 1) // world):
            gaps = self.distances(*paths(block, self.epsilon))
            self.metric.update(lengths=gaps.to(self.device).double() / self.epsilon**2)

    def distances(self, near: Tensor, far: Tensor) -> Tensor:
        """Returns the distance of each pair of images, [n], from [n, C, H, W] in [-1, 1]."""
        pixels = [images.clamp(-1, 1).add(1).div(2) for images in (near, far)]
        if self.perceptual:
            self.lpips.reset(near.device)
            return self.lpips.each(*(images.to(self.lpips.device) for images in pixels))
        # Not rounded to uint8, whose quantization steps exceed the differences along the path.
        first, second = (
            self.shared(255 * images).features.to(self.device).double() for images in pixels
        )
        gaps: Tensor = (first - second).square().sum(1)
        return gaps

    def compute(self, seed: int = 0) -> ScoreValue:
        """Returns the mean without outliers; ``seed`` is not used."""
        (lengths,) = self.metric.compute()
        return ScoreValue(float(without_outliers(lengths).mean()), None)

    def protocol(self) -> dict[str, str | int | float]:
        """Returns the number of paths, the step, the latent space and the distance."""
        distance = f"lpips-{self.lpips.network}" if self.perceptual else "features"
        return {
            "paths": self.used,
            "epsilon": self.epsilon,
            "space": self.space,
            "distance": distance,
        }

    def _build(self, width: int, n_real: int, n_fake: int) -> Metric:
        return Rows("lengths")


def without_outliers(lengths: Tensor) -> Tensor:
    """Returns the lengths from the 1st to the 99th percentile of [n], inclusive."""
    low = torch.quantile(lengths, 0.01, interpolation="lower")
    high = torch.quantile(lengths, 0.99, interpolation="higher")
    return lengths[(low <= lengths) & (lengths <= high)]
