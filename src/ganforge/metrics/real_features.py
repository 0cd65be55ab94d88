from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ganforge.data.images import to_uint8
from ganforge.metrics.arithmetic import arithmetic
from ganforge.metrics.cache import Key, StatisticsCache
from ganforge.metrics.features.base import FeatureExtractor, Features
from ganforge.metrics.finite import FiniteFeatures, refusal
from ganforge.metrics.moments import Moments, merge, moments_of
from ganforge.metrics.source import ImageSource

Sample = Callable[[int, int], Tensor]
Seen = dict[FeatureExtractor, Features]
Uses = Literal["features", "logits"]
Place = tuple[FeatureExtractor, Uses, str, int, int]

OUTPUTS: tuple[Uses, ...] = ("features", "logits")

# Images per block of features. A multiple of common batch sizes. The block size is fixed, so that
# sums over blocks do not depend on the batch size.
BLOCK = 4096


class RealFeatures:
    """Features of a data set's real images, or their moments, computed once.

    Features are kept in CPU memory, float32 [n, d]; moments need d^2 numbers for any n.

    Args:
        data: source of the images.
        extractor: the shared feature extractor.
        cache: on-disk cache shared by runs; None caches in memory only.
    """

    def __init__(
        self, data: ImageSource, extractor: FeatureExtractor, cache: StatisticsCache | None = None
    ) -> None:
        self.data = data
        self.extractor = extractor
        self.cache = cache
        self._rows: dict[Place, Tensor] = {}
        self._moments: dict[Place, Moments] = {}
        self._fingerprints: dict[str, str] = {}

    def rows(self, share: RealShare, uses: Uses) -> Tensor:
        """Returns the features or logits of a share of the images, [n, d] on the CPU."""
        place = _place(share, uses)
        if place not in self._rows:
            kept = self.cache.load(self._key(share, uses)) if self.cache else None
            if kept is None:
                self._look(share)
                if self.cache:
                    self.cache.save(self._key(share, uses), {"rows": self._rows[place]})
            else:
                self._rows[place] = kept["rows"]
                _refuse_faulty(share, kept["rows"])
        return self._rows[place]

    def moments(self, share: RealShare, uses: Uses) -> Moments:
        """Returns the moments of the features or logits of a share of the images, on the CPU."""
        place = _place(share, uses)
        if place not in self._moments:
            key = self._key(share, f"{uses}_moments") if self.cache else {}
            kept = self.cache.load(key) if self.cache else None
            if kept is None:
                self._moments[place] = self._summed_up(share, uses)
                if self.cache:
                    self.cache.save(key, self._moments[place]._asdict())
            else:
                _refuse_faulty(share, kept["scatter"])
                self._moments[place] = Moments(**kept)
        return self._moments[place]

    def _summed_up(self, share: RealShare, uses: Uses) -> Moments:
        place = _place(share, uses)
        if place in self._rows:
            blocks: Iterator[Tensor] = iter(torch.split(self._rows[place], BLOCK))
        else:
            blocks = (getattr(seen, uses) for seen in self._blocks(share))
        device = share.extractor.device
        if device.type == "mps":  # Metal does not support float64
            device = torch.device("cpu")
        total = moments_of(next(blocks).to(device))
        for block in blocks:
            total = merge(total, moments_of(block.to(device)))
        return total.to(torch.device("cpu"))

    def _look(self, share: RealShare) -> None:
        parts = [Features(*(one.cpu() for one in seen)) for seen in self._blocks(share)]
        for uses in OUTPUTS:
            self._rows[_place(share, uses)] = torch.cat([getattr(part, uses) for part in parts])

    def _blocks(self, share: RealShare) -> Iterator[Features]:
        def images(n: int, first: int) -> Tensor:
            return self.data.reals(n, share.split, first)[0]

        extractor = share.extractor
        sound = FiniteFeatures("real", [extractor], extractor.device)
        for _, seen in look(images, [extractor], share.start, share.stop, share.batch_size):
            yield sound(extractor, seen[extractor])
        sound.conclude()  # raises before the caller stores or caches anything

    def _key(self, share: RealShare, kind: str) -> Key:
        if share.split not in self._fingerprints:
            self._fingerprints[share.split] = self.data.fingerprint(share.split)
        key: dict[str, str | int | float] = {
            "data": self.data.name,
            "kind": kind,
            "fingerprint": self._fingerprints[share.split],
            "split": share.split,
            "start": share.start,
            "stop": share.stop,
            "device": arithmetic(share.extractor.device),
            "code": share.extractor.code,
        }
        return key | {
            f"extractor.{name}": value for name, value in share.extractor.protocol.items()
        }


@dataclass(frozen=True)
class RealShare:
    """One process's share of the real images in an evaluation.

    Attributes:
        reals: computes and keeps the features.
        extractor: the feature extractor.
        split: split of the images.
        start: index of the first image.
        stop: index after the last image.
        batch_size: images per batch.
    """

    reals: RealFeatures
    extractor: FeatureExtractor
    split: str
    start: int
    stop: int
    batch_size: int

    def rows(self, uses: Uses) -> Tensor:
        """Returns the extractor's output for every image, [n, d] on the CPU."""
        return self.reals.rows(self, uses)

    def moments(self, uses: Uses) -> Moments:
        """Returns the moments of the extractor's output, on the CPU, without keeping all rows."""
        return self.reals.moments(self, uses)

    def labels(self) -> Tensor:
        """Returns the images' labels, int64 [n]."""
        labels = self.reals.data.real_labels(self.split)
        assert labels is not None, "scores of classes are refused before on data without labels"
        return labels[self.start : self.stop]


def _refuse_faulty(share: RealShare, kept: Tensor) -> None:
    """Raises ScoreError if cached values are not finite; earlier versions cached such values."""
    if not bool(kept.isfinite().all()):
        faulty = len(kept) if kept.ndim < 2 else int((~kept.isfinite().all(1)).sum())
        raise refusal(share.extractor, faulty, share.stop - share.start, "real")


def _place(share: RealShare, uses: Uses) -> Place:
    return share.extractor, uses, share.split, share.start, share.stop


def look(
    images: Sample, extractors: list[FeatureExtractor], start: int, stop: int, batch_size: int
) -> Iterator[tuple[int, Seen]]:
    """Computes the features of images with several extractors; each image is produced once.

    Args:
        images: ``images(n, first)`` returns images first ... first + n - 1.
        extractors: the feature extractors.
        start: index of the first image.
        stop: index after the last image.
        batch_size: images per batch.

    Yields:
        The index of a block's first image, and the features of its up to ``BLOCK`` images.
    """
    for first in range(start, stop, BLOCK):
        yield first, _look(images, extractors, first, min(first + BLOCK, stop), batch_size)


def _look(
    images: Sample, extractors: list[FeatureExtractor], start: int, stop: int, batch_size: int
) -> Seen:
    seen: dict[FeatureExtractor, list[Features]] = {one: [] for one in extractors}
    # Scores must not depend on the trainer's mixed precision.
    with torch.autocast(extractors[0].device.type, enabled=False):
        for first in range(start, stop, batch_size):
            batch = images(min(batch_size, stop - first), first)
            for extractor, parts in seen.items():
                shown = batch if extractor.takes_floats else to_uint8(batch)
                parts.append(extractor(shown.to(extractor.device)))
    return {
        extractor: Features(
            torch.cat([one.features for one in parts]), torch.cat([one.logits for one in parts])
        )
        for extractor, parts in seen.items()
    }
