"""The output folder of `ganforge prepare`: which shards it has, and whether it is complete."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

from ganforge import atomic
from ganforge.data.shards.index import ShardIndex, from_json
from ganforge.data.shards.opening import INDEX, SUMMARY, UNFINISHED
from ganforge.data.shards.writing import KINDS, Encoding, Sample, chunk_list
from ganforge.errors import ConfigError, DataError, RunError
from ganforge.plain_text import one_line

VERSION = 1
_CHOSEN = "images_per_shard"  # an estimate, which a continued command takes over


@dataclass(frozen=True)
class Plan:
    """What the shards of a folder contain: equal plans write equal shards.

    Attributes:
        format: webdataset or litdata.
        encoding: png, jpeg or webp.
        quality: of the encoding; None for its default.
        seed: seed of the order of the images.
        shard_mb: approximate size of a shard.
        images_per_shard: number of images of each shard but the last.
        name: name of the data set.
        image_size: side of the images.
        channels: their channels.
        class_names: name of each label; empty without labels.
        images: number of images of each split.
        fingerprints: fingerprint of each split.
    """

    format: str
    encoding: str
    quality: int | None
    seed: int
    shard_mb: float
    images_per_shard: int
    name: str
    image_size: int
    channels: int
    class_names: list[str]
    images: dict[str, int]
    fingerprints: dict[str, str]


class Folder:
    """A folder that is being filled with the shards of a plan.

    Args:
        path: the folder; it need not exist.
        plan: the plan of this command.

    Raises:
        ConfigError: the folder contains something else.
        RunError: the folder cannot be written.
    """

    def __init__(self, path: Path, plan: Plan) -> None:
        self.path = path
        self.kind = KINDS[plan.format]
        self.encoding = Encoding(plan.encoding, plan.quality)
        path.mkdir(parents=True, exist_ok=True)
        for folder in {path, *(path / split for split in plan.images)}:
            atomic.clean(folder)
        self.plan = self._continued(plan)
        self._indexes: dict[tuple[str, int], ShardIndex] = {}
        self._hashes: dict[tuple[str, int], str] = {}
        if not self.is_complete():
            marker = json.dumps({"version": VERSION, **asdict(self.plan)}).encode()
            atomic.replace(path / UNFINISHED, marker)

    def is_complete(self) -> bool:
        """Whether all shards of the plan are written."""
        return (self.path / SUMMARY).exists() and not (self.path / UNFINISHED).exists()

    def has(self, split: str, number: int) -> bool:
        """Whether a shard was written before, by a command that was interrupted."""
        path = self._shard(split, number)
        try:
            size, data = path.stat().st_size, _beside(path).read_bytes()
            index = from_json(data, size)
        except (OSError, DataError):
            return False
        if index is None:
            return False
        self._note(split, number, index, str(json.loads(data).get("sha256")))
        return True

    def write(self, split: str, number: int, samples: Sequence[Sample]) -> None:
        """Writes a shard, and then its index, which makes it count as written."""
        path = self._shard(split, number)
        try:
            with atomic.writing(path) as file:
                index = self.kind.write(file, samples, self.encoding)
                file.seek(0)
                digest = hashlib.file_digest(cast(Any, file), "sha256").hexdigest()
        except OSError as error:
            raise RunError(f"cannot write {path}: {error.strerror or error}") from error
        entries = {**json.loads(index.to_json()), "sha256": digest}
        atomic.replace(_beside(path), json.dumps(entries, separators=(",", ":")).encode())
        self._note(split, number, index, digest)

    def finish(self) -> dict[str, Any]:
        """Writes the summary, and LitData's list of chunks; returns the summary."""
        splits = {split: self._summary(split) for split in self.plan.images}
        if self.plan.format == "litdata":
            for split in splits:
                self._list_chunks(split)
        summary = {"version": VERSION, **asdict(self.plan), "splits": splits}
        text = json.dumps(summary, indent=1).encode()
        # For each split too, where it is found beside the shards.
        folders = {self._shard(split, 0).parent for split in splits} - {self.path}
        for folder in (*sorted(folders), self.path):
            atomic.replace(folder / SUMMARY, text)
        (self.path / UNFINISHED).unlink()
        return summary

    def _summary(self, split: str) -> dict[str, Any]:
        shards = [
            {
                "file": self.kind.file_name(*key),
                "images": len(index.names),
                "bytes": index.size,
                "sha256": self._hashes[key],
            }
            for key, index in self._indexes.items()
            if key[0] == split
        ]
        return {"images": sum(cast(int, shard["images"]) for shard in shards), "shards": shards}

    def _list_chunks(self, split: str) -> None:
        chunks = [
            (Path(self.kind.file_name(*key)).name, index)
            for key, index in self._indexes.items()
            if key[0] == split
        ]
        data = chunk_list(chunks, self.encoding, bool(self.plan.class_names))
        atomic.replace(self._shard(split, 0).with_name("index.json"), data)

    def _note(self, split: str, number: int, index: ShardIndex, digest: str) -> None:
        self._indexes[split, number] = index
        self._hashes[split, number] = digest

    def _shard(self, split: str, number: int) -> Path:
        return self.path / self.kind.file_name(split, number)

    def _continued(self, plan: Plan) -> Plan:
        """Returns the plan, with the size of shards of the command that it continues."""
        own = asdict(plan)
        for name in (UNFINISHED, SUMMARY):
            if (before := _read(self.path / name)) is None:
                continue
            if differing := [key for key in own if key != _CHOSEN and own[key] != before.get(key)]:
                raise ConfigError(
                    f"{one_line(self.path)} holds shards of other images or settings "
                    f"({', '.join(differing)} differ): choose another out=DIR, or remove it"
                )
            return replace(plan, images_per_shard=int(before[_CHOSEN]))
        if any(self.path.iterdir()):
            raise ConfigError(
                f"out={one_line(self.path)} is not empty, and not from ganforge prepare: choose "
                "another folder"
            )
        return plan


def _read(path: Path) -> dict[str, Any] | None:
    """Returns the contents of a JSON file of this module; None if there is no such file."""
    try:
        values = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read ({error}): choose another out=DIR") from error
    if not isinstance(values, dict) or values.get("version") != VERSION:
        raise ConfigError(f"{path} is of another version of ganforge: choose another out=DIR")
    return values


def _beside(path: Path) -> Path:
    return path.with_name(path.name + INDEX)
