from __future__ import annotations

import torch
from torch import Tensor

from ganforge.errors import ConfigError, DivergenceError, ScoreError
from ganforge.metrics.features.base import FeatureExtractor, Features

# Half a quantization step of uint8: values within it round to the same byte as -1 or 1.
SLACK = 0.5 / 127.5


class FiniteImages:
    """Counts generated images with NaN, infinite or out-of-range values.

    Errors are raised after the last image and on all processes together: a single process that
    raised early would leave the others waiting in a collective operation.

    Args:
        device: device of the counters.
        bounded: whether values must be in [-1, 1]; true for images, false for points.
    """

    def __init__(self, device: torch.device, bounded: bool = False) -> None:
        self.bounded = bounded
        self._faulty = torch.zeros(2, dtype=torch.int64, device=device)

    def __call__(self, images: Tensor) -> Tensor:
        """Returns images [n, C, H, W] as finite float32, and counts the invalid ones.

        uint8 images are returned unchanged.
        """
        if images.dtype == torch.uint8:
            return images
        images = images.to(self._faulty.device)
        flat = images.flatten(1)
        self._faulty[0] += (~flat.isfinite().all(1)).sum()
        if self.bounded:
            self._faulty[1] += (flat.abs().amax(1) > 1 + SLACK).sum()
        return images.float().nan_to_num()

    def conclude(self, world: int = 1) -> None:
        """Raises on all ``world`` processes if any of them has images that can't be scored.

        Raises:
            DivergenceError: Values are not finite.
            ConfigError: Values are outside [-1, 1].
        """
        if world > 1 and torch.distributed.is_initialized():
            torch.distributed.all_reduce(self._faulty)
        not_finite, outside = self._faulty.tolist()
        if not_finite:
            raise DivergenceError(
                f"{not_finite} generated images contain NaN or infinite values and cannot be "
                "scored: training has diverged; try a lower learning rate or another precision"
            )
        if outside:
            raise ConfigError(
                f"{outside} generated images have values outside [-1, 1]: end the generator with "
                "tanh, or clamp its images in evaluation mode"
            )


class FiniteFeatures:
    """Counts images whose features or logits are NaN or infinite.

    They occur when a half-precision network overflows, and would silently yield wrong scores, such
    as a precision of 0. As for images, errors are raised at the end and on all processes together.

    Args:
        images: the word for the images in messages: "real" or "generated".
        extractors: the feature extractors.
        device: device of the counters.
    """

    def __init__(
        self, images: str, extractors: list[FeatureExtractor], device: torch.device
    ) -> None:
        self.images = images
        self._index = {extractor: index for index, extractor in enumerate(extractors)}
        # Per extractor: number of faulty images, number of all images.
        self._counts = torch.zeros(len(extractors), 2, dtype=torch.int64, device=device)

    def __call__(self, extractor: FeatureExtractor, outputs: Features) -> Features:
        """Returns finite features and logits, and counts images with values that were not."""
        finite = outputs.features.isfinite().all(1) & outputs.logits.isfinite().all(1)
        counts = torch.stack([(~finite).sum(), torch.tensor(len(finite), device=finite.device)])
        self._counts[self._index[extractor]] += counts.to(self._counts.device)
        if bool(finite.all()):
            return outputs
        return Features(*(part.nan_to_num(posinf=0.0, neginf=0.0) for part in outputs))

    def conclude(self, world: int = 1) -> None:
        """Raises on all ``world`` processes if any of them has features that are not finite.

        Raises:
            ScoreError: With the extractor's name and the number of images.
        """
        if world > 1 and torch.distributed.is_initialized():
            torch.distributed.all_reduce(self._counts)
        for extractor, index in self._index.items():
            faulty, total = self._counts[index].tolist()
            if faulty:
                error = refusal(extractor, faulty, total, self.images)
                error.everywhere = world > 1
                raise error


def refusal(extractor: FeatureExtractor, faulty: int, total: int, images: str) -> ScoreError:
    """Returns the error for features or logits that are not finite."""
    return ScoreError(
        f"features={extractor.name}: the features or logits of {faulty} of {total} {images} images "
        "are not finite (NaN or infinite), so no score can be computed. Run the network in "
        "float32, or choose other features"
    )
