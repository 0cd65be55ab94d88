from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.image.fid import FrechetInceptionDistance

from ganforge.metrics.score import PassThrough, Score, ScoreValue


class FrechetDistance(Score):
    """Distance of the Gaussians that fit real and generated features, 0 for equal ones.

    |m - m'|^2 + tr(S + S' - 2 (S S')^(1/2)). Called FID with Inception features.
    Heusel et al. 2017, arXiv:1706.08500. Biased upwards, the more so the fewer the images: only
    values of the same ``n_real`` and ``n_fake`` are comparable.
    """

    def update(self, values: Tensor, real: bool) -> None:
        """Takes this process's rows [n, width], in chunks: sums take no room, float64 copies do."""
        for chunk in torch.split(values, 4096):
            self.metric.update(chunk.to(self.device).double(), real)

    def compute(self, seed: int = 0) -> ScoreValue:
        """Returns the distance; nothing in it is random."""
        # Rounding can leave equal Gaussians a distance of -1e-9.
        return ScoreValue(max(float(self.metric.compute()), 0.0), None)

    def _build(self, width: int, n_real: int, n_fake: int) -> Metric:
        return FrechetInceptionDistance(feature=PassThrough(width))
