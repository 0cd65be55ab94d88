from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, cast

import torch
from torch import Tensor

from ganforge.data.images import to_uint8
from ganforge.full_precision import full_precision
from ganforge.metrics.cache import Key, StatisticsCache
from ganforge.metrics.features.base import FeatureExtractor, Features
from ganforge.metrics.finite import FiniteFeatures, refusal
from ganforge.metrics.moments import Moments, merge, moments_of
from ganforge.metrics.source import ImageSource

Sample = Callable[[int, int], Tensor]
Outputs = dict[FeatureExtractor, Features]
Uses = Literal["features", "logits"]
ShareKey = tuple[FeatureExtractor, Uses, str, int, int]

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
        self._rows: dict[ShareKey, Tensor] = {}
        self._moments: dict[ShareKey, Moments] = {}
        self._fingerprints: dict[str, str] = {}

    def rows(self, share: RealShare, uses: Uses) -> Tensor:
        """Returns the features or logits of a share of the images, [n, d] on the CPU."""
        key = _share_key(share, uses)
        if key not in self._rows:
            cached = self._load(share, uses)
            if cached is None:
                self._compute_rows(share)
                self._save(share, uses, {"rows": self._rows[key]})
            else:
                self._rows[key] = cached["rows"]
        return self._rows[key]

    def moments(self, share: RealShare, uses: Uses) -> Moments:
        """Returns the moments of the features or logits of a share of the images, on the CPU."""
        key = _share_key(share, uses)
        if key not in self._moments:
            kind = f"{uses}_moments"
            cached = self._load(share, kind)
            if cached is None:
                self._moments[key] = self._compute_moments(share, uses)
                self._save(share, kind, self._moments[key]._asdict())
            else:
                self._moments[key] = Moments(**cached)
        return self._moments[key]

    def _load(self, share: RealShare, kind: str) -> dict[str, Tensor] | None:
        """Returns tensors from the cache; raises ScoreError if they are not finite.

        Earlier versions cached such values.
        """
        cached = self.cache.load(self._key(share, kind)) if self.cache else None
        values = None if cached is None else cached["scatter" if "scatter" in cached else "rows"]
        if values is not None and not bool(values.isfinite().all()):
            faulty = int((~values.isfinite().all(1)).sum())
            raise refusal(share.extractor, faulty, share.stop - share.start, "real")
        return cached

    def _save(self, share: RealShare, kind: str, tensors: dict[str, Tensor]) -> None:
        if self.cache:
            self.cache.save(self._key(share, kind), tensors)

    def _compute_moments(self, share: RealShare, uses: Uses) -> Moments:
        key = _share_key(share, uses)
        if key in self._rows:
            blocks: Iterator[Tensor] = iter(torch.split(self._rows[key], BLOCK))
        else:
            blocks = (getattr(outputs, uses) for outputs in self._blocks(share))
        device = share.extractor.device
        if device.type == "mps":  # Metal does not support float64
            device = torch.device("cpu")
        total = moments_of(next(blocks).to(device))
        for block in blocks:
            total = merge(total, moments_of(block.to(device)))
        return total.to(torch.device("cpu"))

    def _compute_rows(self, share: RealShare) -> None:
        parts = [Features(*(part.cpu() for part in block)) for block in self._blocks(share)]
        for uses in OUTPUTS:
            self._rows[_share_key(share, uses)] = torch.cat([getattr(part, uses) for part in parts])

    def _blocks(self, share: RealShare) -> Iterator[Features]:
        def images(n: int, first: int) -> Tensor:
            return self.data.reals(n, share.split, first)[0]

        extractor = share.extractor
        finite = FiniteFeatures("real", [extractor], extractor.device)
        for _, outputs in compute_features(
            images, [extractor], share.start, share.stop, share.batch_size
        ):
            yield finite(extractor, outputs[extractor])
        finite.conclude()  # raises before the caller stores or caches anything

    def _key(self, share: RealShare, kind: str) -> Key:
        if share.split not in self._fingerprints:
            self._fingerprints[share.split] = self.data.fingerprint(share.split)
        with full_precision(share.extractor.device):
            device = arithmetic(share.extractor.device)
        key: dict[str, str | int | float] = {
            "data": self.data.name,
            "kind": kind,
            "fingerprint": self._fingerprints[share.split],
            "split": share.split,
            "start": share.start,
            "stop": share.stop,
            "device": device,
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


def _share_key(share: RealShare, uses: Uses) -> ShareKey:
    return share.extractor, uses, share.split, share.start, share.stop


def compute_features(
    images: Sample, extractors: list[FeatureExtractor], start: int, stop: int, batch_size: int
) -> Iterator[tuple[int, Outputs]]:
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
        yield first, _compute_block(images, extractors, first, min(first + BLOCK, stop), batch_size)


def _compute_block(
    images: Sample, extractors: list[FeatureExtractor], start: int, stop: int, batch_size: int
) -> Outputs:
    outputs: dict[FeatureExtractor, list[Features]] = {one: [] for one in extractors}
    # Scores must not depend on the trainer's precision.
    with full_precision(extractors[0].device):
        for first in range(start, stop, batch_size):
            batch = images(min(batch_size, stop - first), first)
            for extractor, parts in outputs.items():
                inputs = batch if extractor.takes_floats else to_uint8(batch)
                parts.append(extractor(inputs.to(extractor.device)))
    return {
        extractor: Features(
            torch.cat([one.features for one in parts]), torch.cat([one.logits for one in parts])
        )
        for extractor, parts in outputs.items()
    }


def arithmetic(device: torch.device) -> str:
    """Returns a description of a device's float32 arithmetic: its model and allowed precisions.

    Used in cache keys, as features differ between them: if allowed and supported by the GPU, TF32
    and bfloat16 replace float32 and keep 10 and 7 bits of its 23-bit mantissa. Settings that only
    change the order of sums, such as batch size or number of threads, are not included: they change
    only the last bits.
    """
    model = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    try:
        products = torch.get_float32_matmul_precision()
        convolutions = "tf32" if torch.backends.cudnn.allow_tf32 else "ieee"
    except RuntimeError:  # precision was set per operator; the global getters refuse to answer
        backends = cast(Any, torch.backends)
        products = backends.cuda.matmul.fp32_precision
        convolutions = backends.cudnn.conv.fp32_precision
    return f"{model}, products {products}, convolutions {convolutions}"
