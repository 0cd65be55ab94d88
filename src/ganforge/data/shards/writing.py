"""Writes shards: tars in the layout of WebDataset, and chunks of LitData."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from PIL import Image
from torch import Tensor

from ganforge.data.files.decoding import MODES
from ganforge.data.shards.chunk_scan import ChunkFormat, scan_chunk
from ganforge.data.shards.index import ShardIndex
from ganforge.data.shards.tar_scan import scan_tar
from ganforge.errors import ConfigError

ENCODINGS = ("png", "jpeg", "webp")
LARGEST_CHUNK = 2**32 - 1  # LitData stores places in a chunk as 32-bit numbers
JPEG_QUALITY = 95


@dataclass(frozen=True)
class Sample:
    """An encoded image.

    Attributes:
        key: its name without extension.
        data: the bytes of the image file.
        label: its class; None without labels.
    """

    key: str
    data: bytes
    label: int | None = None


@dataclass(frozen=True)
class Encoding:
    """How images are encoded.

    Attributes:
        kind: png (lossless), jpeg or webp.
        quality: 1 to 100; None for 95 with jpeg, and for lossless webp.
    """

    kind: str = "png"
    quality: int | None = None

    def check(self, channels: int) -> None:
        """Raises ConfigError if images of ``channels`` channels cannot be encoded like this."""
        if self.kind not in ENCODINGS:
            raise ConfigError(f"encoding must be one of {', '.join(ENCODINGS)}, got {self.kind!r}")
        if self.quality is not None and not 1 <= self.quality <= 100:
            raise ConfigError(f"quality must be 1 to 100, got {self.quality}")
        if self.kind == "png" and self.quality is not None:
            raise ConfigError(
                f"quality={self.quality} is for encoding=jpeg or webp; png is lossless"
            )
        if self.kind == "jpeg" and channels in (2, 4):
            raise ConfigError("encoding=jpeg has no transparency: use png or webp")

    @property
    def extension(self) -> str:
        """The extension of the files, without a dot."""
        return {"jpeg": "jpg"}.get(self.kind, self.kind)

    @property
    def lossless(self) -> bool:
        """Whether decoding returns the same pixels."""
        return self.kind == "png" or (self.kind == "webp" and self.quality is None)

    def encode(self, image: Tensor) -> bytes:
        """Returns the file of an image, uint8 [C, H, W]."""
        pixels = image.permute(1, 2, 0).contiguous().numpy()
        picture = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
        assert picture.mode == MODES[len(image)]
        file = io.BytesIO()
        picture.save(file, self.kind.upper(), **self._options())
        return file.getvalue()

    def _options(self) -> dict[str, Any]:
        if self.kind == "jpeg":
            # All pixels keep their color: images are small, and networks see each pixel.
            return {"quality": self.quality or JPEG_QUALITY, "subsampling": 0}
        if self.kind == "webp":
            return {"quality": self.quality} if self.quality else {"lossless": True, "exact": True}
        return {}


def write_tar(file: BinaryIO, samples: Sequence[Sample], encoding: Encoding) -> ShardIndex:
    """Writes samples as a tar, the same bytes for the same samples; returns its index."""
    with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for sample in samples:
            _add(archive, f"{sample.key}.{encoding.extension}", sample.data)
            if sample.label is not None:
                _add(archive, f"{sample.key}.cls", str(sample.label).encode())
    size = file.tell()
    file.seek(0)
    return scan_tar(file, size)


def write_chunk(file: BinaryIO, samples: Sequence[Sample], encoding: Encoding) -> ShardIndex:
    """Writes samples as a chunk of LitData; returns its index.

    Raises:
        ConfigError: the chunk would have more than 4 GB.
    """
    items = [_item(sample) for sample in samples]
    starts = np.cumsum([4 * (len(items) + 2), *map(len, items)])
    if starts[-1] > LARGEST_CHUNK:
        raise ConfigError("a chunk of LitData has at most 4 GB: decrease shard_mb")
    header = np.uint32(len(items)).tobytes() + starts.astype("<u4").tobytes()
    data = b"".join([header, *items])
    file.write(data)
    labels = 1 if samples and samples[0].label is not None else None
    leaves = 1 if labels is None else 2
    return scan_chunk(data, ChunkFormat(leaves, 0, "file", labels, "int"))


def chunk_list(
    chunks: Sequence[tuple[str, ShardIndex]], encoding: Encoding, labelled: bool
) -> bytes:
    """Returns the ``index.json`` of a folder of chunks, as LitData writes it.

    Args:
        chunks: file name and index of each chunk.
        encoding: of the images; LitData decodes only JPEG itself.
        labelled: whether the items have labels.
    """
    keys = ["image", "label"] if labelled else ["image"]
    leaf: dict[str, Any] = {"type": None, "context": None, "children_spec": []}
    root = {
        "type": "builtins.dict",
        "context": json.dumps(keys),
        "children_spec": [leaf] * len(keys),
    }
    image = "jpeg" if encoding.kind == "jpeg" else "bytes"
    config = {
        "compression": None,
        "chunk_size": max((len(index.names) for _, index in chunks), default=0),
        "chunk_bytes": None,
        "data_format": [image, "int"][: len(keys)],
        "data_spec": json.dumps([1, root]),
        "encryption": None,
        "item_loader": "PyTreeLoader",
    }
    listed = [
        {
            "chunk_bytes": index.size,
            "chunk_size": len(index.names),
            "dim": None,
            "filename": name,
        }
        for name, index in chunks
    ]
    return json.dumps({"chunks": listed, "config": config}, sort_keys=True).encode()


@dataclass(frozen=True)
class ShardKind:
    """A format of shards.

    Attributes:
        name: of the format, an option of ``ganforge prepare``.
        file_name: name of shard ``number`` of a split, relative to the output folder.
        write: writes samples to a file and returns the index.
        overhead: bytes of a sample besides its image, on average.
    """

    name: str
    file_name: Callable[[str, int], str]
    write: Callable[[BinaryIO, Sequence[Sample], Encoding], ShardIndex]
    overhead: int


KINDS = {
    kind.name: kind
    for kind in (
        ShardKind("webdataset", lambda split, number: f"{split}-{number:06d}.tar", write_tar, 1792),
        ShardKind(
            "litdata", lambda split, number: f"{split}/chunk-0-{number}.bin", write_chunk, 20
        ),
    )
}


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(data), 0o644
    archive.addfile(member, io.BytesIO(data))


def _item(sample: Sample) -> bytes:
    leaves = [sample.data]
    if sample.label is not None:
        leaves.append(sample.label.to_bytes(8, "little", signed=True))
    return b"".join([np.array([*map(len, leaves)], dtype="<u4").tobytes(), *leaves])
