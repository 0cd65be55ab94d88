"""Identity of a run's training images, used to check that a resumed run has the same data.

Unlike a fingerprint (the key of cached statistics), it is independent of the data set's path, of
file times and of decoding, so it survives copying the data.
"""

from __future__ import annotations

import hashlib
from typing import Any

import torch

from ganforge.data.files.encoded import UnreachableError
from ganforge.data.files.source import FileSource
from ganforge.data.order import fixed_order
from ganforge.data.source import ImageSource, hash_of

# Limits of hashing file contents. Larger sets are sampled evenly.
MOST_FILES = 1000
MOST_BYTES = 64 * 2**20

_TOGETHER = 32  # remote files that are read at the same time

Identity = dict[str, Any]


def identity_of(source: ImageSource, images: int, span: str) -> Identity:
    """Returns plain values that are equal for the same training images, labels and range.

    Args:
        source: the training images before decoding.
        images: number of images that are trained on.
        span: value range that is mapped to black and white.
    """
    labels = None if source.labels is None else source.labels.to(torch.int64)
    identity = {"images": images, "labels": hash_of(labels), "range": span}
    if isinstance(source, FileSource):
        names = source.files()
        return identity | {"names": hash_of("\n".join(names)), "contents": _sample(source, names)}
    # 2D points are generated anew in each run and may differ by rounding between machines.
    if source.shape[1:] == (1, 1):
        return identity
    return identity | {"contents": source.contents()}


def differences_of(then: list[Identity], now: list[Identity]) -> str | None:
    """Returns a description of the difference between two identities; None if they are equal."""
    if len(then) != len(now):
        return f"{len(now)} sets of images, {len(then)} before"
    for before, after in zip(then, now, strict=True):
        differing = [key for key in before if key in after and before[key] != after[key]]
        if "images" in differing:
            return f"{after['images']} training images, {before['images']} before"
        words = {
            "names": "different file names or order",
            "labels": "different labels",
            "range": f"range {after.get('range')} instead of {before.get('range')}",
            "contents": "different images",
        }
        changes = [words[key] for key in words if key in differing]
        if changes:
            return f"{after['images']} training images as before, but {', '.join(changes)}"
    return None


def _sample(source: FileSource, names: list[str]) -> str:
    """Returns a hash of encoded files: all of a small set, an evenly spaced sample of a large one.

    The sample is hashed in a shuffled order, so that the limit of bytes does not cut off the end.
    """
    count = min(len(names), MOST_FILES)
    digest, read = hashlib.sha256(), 0
    sample = [names[index * len(names) // count] for index in fixed_order(count).tolist()]
    for position, name in enumerate(sample):
        if position % _TOGETHER == 0:
            source.entries.fetch(sample[position : position + _TOGETHER])
        try:
            data = source.entries.read(name)
        except UnreachableError:
            raise
        except Exception:  # decoding logs and skips unreadable files
            data = b""
        digest.update(f"{len(data)} ".encode())
        digest.update(data)
        read += len(data)
        if read > MOST_BYTES:
            break
    return digest.hexdigest()[:16]
