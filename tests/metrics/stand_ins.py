from __future__ import annotations

import hashlib

import torch
from torch import Tensor, nn

from ganforge.metrics import evaluate as evaluation
from ganforge.metrics.evaluate import EvaluationSettings, GeneratedImages
from ganforge.metrics.features.base import FeatureExtractor, Features
from ganforge.metrics.real_features import RealFeatures


class Pictures:
    """A data set of given images."""

    def __init__(self, images, labels=None, num_classes=0, test=0, name="pictures"):
        self.images, self.labels = images, labels
        self.name, self.num_classes, self.test = name, num_classes, test
        self.channels, self.image_size = images.shape[1], images.shape[-1]
        self.read = 0

    def _bounds(self, split):
        border = len(self.images) - self.test
        return (0, border) if split == "train" else (border, len(self.images))

    def size(self, split):
        first, last = self._bounds(split)
        return last - first

    def reals(self, n, split="train", start=0):
        first, last = self._bounds(split)
        rows = slice(first + start, min(first + start + n, last))
        self.read += len(self.images[rows])
        return self.images[rows], None if self.labels is None else self.labels[rows]

    def real_labels(self, split="train"):
        first, last = self._bounds(split)
        return None if self.labels is None else self.labels[first:last]

    def fingerprint(self, split):
        return hashlib.sha256(self.reals(10**6, split)[0].numpy().tobytes()).hexdigest()[:16]


class Glance(FeatureExtractor):
    """Seeded linear features, in float64 so that batch sizes do not matter."""

    name, suffix, num_features, num_logits = "glance", "_glance", 6, 4

    def __init__(self, channels=1, size=4):
        super().__init__()
        generator = torch.Generator().manual_seed(7)
        weight = torch.randn(channels * size * size, 10, generator=generator, dtype=torch.float64)
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.protocol = {"features": "glance-v1", "features_weights": "0", "resize": "none"}

    def forward(self, images: Tensor) -> Features:
        assert images.dtype == torch.uint8
        seen = (images.flatten(1).double() / 127.5 - 1) @ self.weight
        return Features(seen[:, :6].float(), seen[:, 6:].float())


class Glances:
    """A factory that counts."""

    def __init__(self, extractor=None):
        self.extractor, self.built = extractor, 0

    def build(self, data, device):
        self.built += 1
        return self.extractor


def noise_images(n, seed=0, channels=1, size=4):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, channels, size, size), generator=generator).to(torch.uint8)


def evaluate(
    sample, data, extractor, scores, n, seed, batch_size,
    reals=None, labels=None, paths=None, keep=None, **settings,
):  # fmt: skip
    """Evaluates with all arguments in one list; ``settings`` are those of EvaluationSettings."""
    images = GeneratedImages(sample, labels, paths)
    reals = reals or RealFeatures(data, extractor)
    settings = EvaluationSettings(n, seed, batch_size, **settings)
    return evaluation.evaluate(images, reals, scores, settings, keep)
