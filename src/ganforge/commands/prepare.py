from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import torch
from omegaconf import OmegaConf

from ganforge.commands.cache import bytes_as_text
from ganforge.commands.counting import counting
from ganforge.commands.prepared_folder import Folder, Plan
from ganforge.config.check import check
from ganforge.config.requests import PrepareRequest
from ganforge.console import console, setup_logging
from ganforge.cores import thread_per_core
from ganforge.data.files.source import FileSource
from ganforge.data.module import SPLITS, ImageDataModule
from ganforge.data.order import Order
from ganforge.data.shards.writing import KINDS, Encoding, Sample
from ganforge.data.source import ImageSource
from ganforge.data.translation.module import TranslationData
from ganforge.errors import ConfigError
from ganforge.paths import check_folder, typed_path
from ganforge.runs.load import build
from ganforge.sweeps.signals import ending_once
from ganforge.terminal import as_typed

_ESTIMATED = 64  # images that are encoded to estimate the number of images of a shard
_MOST_IMAGES = 10_000  # of a shard: its index stays small


def prepare_shards(request: PrepareRequest) -> Path:
    """Converts a data set into shards, at its size and crop, with labels, and returns the folder.

    Images are stored in a random order, so that every shard is a sample of the data set. Each
    shard is written whole or not at all. If the command is interrupted, the same command continues.

    Args:
        request: the command as typed.

    Raises:
        ConfigError: wrong settings, a data set without images or with two domains, or a folder
            with other contents.
    """
    setup_logging()
    encoding = _checked(request)
    with ending_once("the same command continues"), thread_per_core() as threads:
        return _prepared(request, encoding, threads)


def _prepared(request: PrepareRequest, encoding: Encoding, threads: ThreadPoolExecutor) -> Path:
    out = typed_path(cast(str, request.out))
    data = _loaded(request, encoding)
    check_folder(out, "out")
    sources = {split: data.source_of(split) for split in SPLITS if data.size(split)}
    plan = _plan(request, data, sources, encoding, threads)
    folder = Folder(out, plan)
    if folder.is_complete():
        console.print(f"{out} is complete already", soft_wrap=True)
        return out
    with counting(sum(map(len, sources.values())), "written") as advance:
        for split, source in sources.items():
            writer = _Writer(source, request.seed, encoding, threads)
            for number, positions in enumerate(_parts(len(source), folder.plan.images_per_shard)):
                if not folder.has(split, number):
                    folder.write(split, number, writer.samples(positions))
                advance(len(positions))
    _report(out, folder.finish())
    return out


def _checked(request: PrepareRequest) -> Encoding:
    """Checks the settings before any image is read."""
    if not request.data:
        raise ConfigError("prepare needs data=NAME, such as data=folder data.path=DIR")
    if not request.out:
        raise ConfigError("prepare needs out=DIR, the folder for the shards")
    if request.format not in KINDS:
        raise ConfigError(f"format must be one of {', '.join(KINDS)}, got {request.format!r}")
    if not 0 < request.shard_mb <= 4000:
        raise ConfigError(f"shard_mb must be above 0 and at most 4000, got {request.shard_mb:g}")
    encoding = Encoding(request.encoding, request.quality)
    encoding.check(request.data.get("channels", 3))
    check(OmegaConf.create({"data": request.data}))
    return encoding


def _loaded(request: PrepareRequest, encoding: Encoding) -> ImageDataModule:
    # Images are decoded while they are written, and not kept.
    for key in {"in_memory", "cache"} & {*request.data}:
        request.data[key] = False
    data = build(request.data)
    if not isinstance(data, ImageDataModule) or isinstance(data, TranslationData):
        raise ConfigError("prepare converts images of one domain, and these data have two domains")
    data.batch_size = 1  # it need not fit the number of images
    data.prepare_data()
    data.setup()
    if data.source_of("train").shape[1:] == (1, 1):
        raise ConfigError(f"prepare converts images, and data={data.name} has points in the plane")
    encoding.check(data.channels)
    return data


def _plan(
    request: PrepareRequest,
    data: ImageDataModule,
    sources: dict[str, ImageSource],
    encoding: Encoding,
    threads: ThreadPoolExecutor,
) -> Plan:
    train = sources["train"]
    few = train.read(torch.arange(min(_ESTIMATED, len(train))))
    mean = sum(map(len, threads.map(encoding.encode, few))) / len(few)
    count = int(request.shard_mb * 1e6 / (mean + KINDS[request.format].overhead))
    names = data.class_names
    if train.labels is not None and not names:
        classes = max(data.num_classes, int(train.labels.max()) + 1)
        names = [str(number) for number in range(classes)]
    return Plan(
        format=request.format,
        encoding=encoding.kind,
        quality=encoding.quality,
        seed=request.seed,
        shard_mb=request.shard_mb,
        images_per_shard=max(1, min(count, _MOST_IMAGES)),
        name=data.name,
        image_size=data.image_size,
        channels=data.channels,
        class_names=names if train.labels is not None else [],
        images={split: len(source) for split, source in sources.items()},
        fingerprints={split: data.fingerprint(split) for split in sources},
    )


def _parts(count: int, size: int) -> Iterator[range]:
    for start in range(0, count, size):
        yield range(start, min(start + size, count))


class _Writer:
    """Encodes the images of a split in the order in which they are stored.

    Args:
        source: the images.
        seed: seed of the order.
        encoding: of the images.
        threads: threads that decode and encode.
    """

    def __init__(
        self, source: ImageSource, seed: int, encoding: Encoding, threads: ThreadPoolExecutor
    ) -> None:
        self.source = source
        self.encoding = encoding
        self.threads = threads
        self.order = Order(len(source), seed)

    def samples(self, positions: range) -> list[Sample]:
        """Returns the readable images at ``positions``."""
        indices = self.order.indices(positions).tolist()
        return [sample for sample in self.threads.map(self._sample, indices) if sample]

    def _sample(self, index: int) -> Sample | None:
        images, labels = self.source.read_labelled(torch.tensor([index]))
        if isinstance(self.source, FileSource) and (
            self.source.names[index] in self.source.unreadable
        ):
            return None  # what was read is another image in its place
        label = None if labels is None else int(labels[0])
        return Sample(f"{index:09d}", self.encoding.encode(images[0]), label)


def _report(out: Path, summary: dict[str, Any]) -> None:
    for split, part in summary["splits"].items():
        shards = part["shards"]
        size = bytes_as_text(sum(shard["bytes"] for shard in shards))
        text = f"{split}: {part['images']:,} images in {len(shards):,} shards, {size}"
        console.print(text, soft_wrap=True)
    urls = f"data.urls='{out}/*.tar'" if summary["format"] == "webdataset" else f"data.dir={out}"
    size, channels = summary["image_size"], summary["channels"]
    console.print(
        f"train on them: {as_typed('ganforge train')} data={summary['format']} {urls} "
        f"data.image_size={size} data.channels={channels}",
        soft_wrap=True,
    )
