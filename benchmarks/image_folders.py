"""Measures a folder of many JPEGs: time and memory to the first step, and of drafts.

Used by data_loading.py. Each way runs in a process of its own, with a cache of its own:

- decoding on every read: ``data.in_memory=false data.cache=false``;
- in memory: ``data.in_memory=true data.cache=false``, which decodes all images at each start;
- the cache, in the first run, which decodes all images, and in the second.

The time is that of the data module from its construction to the first batch, without imports.
"""

from __future__ import annotations

import io
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from PIL import Image

from ganforge.cores import Cores
from ganforge.data.files.decoding import decode
from ganforge.data.sets.folder import ImageFolder

TITLE = "# Folders of JPEGs"
SIZE, BATCH = 64, 64
STEPS = 30  # batches to measure the rate
EACH = 1000  # files in a folder
WAYS = {
    "decoding on every read": {"in_memory": False, "cache": False},
    "in memory": {"in_memory": True, "cache": False},
    "cache, first run": {"in_memory": "auto", "cache": True},
    "cache, second run": {"in_memory": "auto", "cache": True},
}
DRAFTS = (((178, 218), 64), ((500, 375), 128), ((1024, 1024), 256))


def report(files: int) -> str:
    """Returns the part of data_loading.md on folders."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        starts = [*range(0, files, EACH)]
        with ProcessPoolExecutor(Cores.find().count) as processes:
            sizes = processes.map(
                generated, [root / "images"] * len(starts), starts, [files] * len(starts)
            )
            megabytes = sum(sizes) / 2**20
        rows = [row(name, measured(root, way)) for name, way in WAYS.items()]
    lines = [
        TITLE,
        "",
        f"    uv run python benchmarks/data_loading.py --files {files}",
        "",
        f"{files:,} generated JPEGs of 64 to 96 pixels a side, {megabytes:,.0f} MB, resized to "
        f"{SIZE}; decoded {files * 3 * SIZE**2 / 2**20:,.0f} MB.",
        f"Batches of {BATCH}, {Cores.find().count} cores, no GPU, torch {torch.__version__}.",
        "To the first step: from the construction of",
        "the data module to the first batch, without imports. CPU seconds are those of all "
        "processes, memory is the largest",
        f"resident size of the training process, images/s is over {STEPS} further batches. One "
        "run, on a machine with other load.",
        "",
        "| way | s to the first step | CPU s | memory, MB | images/s then |",
        "|---|---:|---:|---:|---:|",
        *rows,
        "",
        "`data.draft=true`: ms per image on one core, full and reduced, in turns. Difference: mean "
        "over pixels, of 255.",
        "",
        "| JPEG | side | full | draft | ratio | difference |",
        "|---|---:|---:|---:|---:|---:|",
        *(draft_row(size, side) for size, side in DRAFTS),
    ]
    return "\n".join(lines)


def generated(root: Path, start: int, files: int) -> int:
    """Writes up to ``EACH`` images into one folder; returns their bytes."""
    folder, total = root / f"{start:07}", 0
    folder.mkdir(parents=True)
    noise = np.random.default_rng(start)
    for index in range(start, min(start + EACH, files)):
        width, height = noise.integers(64, 97, 2).tolist()
        data = jpeg(noise, (width, height))
        (folder / f"{index:07}.jpg").write_bytes(data)
        total += len(data)
    return total


def jpeg(noise: np.random.Generator, size: tuple[int, int]) -> bytes:
    """Returns a JPEG of smooth random shapes."""
    shapes = noise.integers(0, 256, (size[1] // 12, size[0] // 12, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(shapes).resize(size, Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def measured(root: Path, way: dict[str, object]) -> dict[str, float]:
    """Returns what a process of its own measures; see :func:`child`."""
    done = subprocess.run(
        [sys.executable, __file__, str(root / "images"), json.dumps(way)],
        env=os.environ | {"GANFORGE_CACHE": str(root / "cache"), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def child(path: str, way: dict[str, object]) -> dict[str, float]:
    """Reads the folder up to the first batch, and then ``STEPS`` more."""
    before, start = cpu(), time.perf_counter()
    data = ImageFolder(path, image_size=SIZE, batch_size=BATCH, mirror=True, labels=False, **way)
    module = SimpleNamespace(
        images_seen=0, iteration=0, critic_steps_at=lambda at: 1, device=torch.device("cpu")
    )
    module.batch_size_at = lambda seen, batch_size: batch_size
    data.trainer = SimpleNamespace(
        lightning_module=module, world_size=1, num_devices=1, global_rank=0
    )
    data.prepare_data()
    data.setup()
    data.decode_once()
    batches: Iterator[dict[str, torch.Tensor]] = iter(data.train_dataloader())
    assert next(batches)["image"].shape == (BATCH, 3, SIZE, SIZE)
    first, used = time.perf_counter() - start, cpu() - before
    start = time.perf_counter()
    for _ in range(STEPS):
        next(batches)
    rate = STEPS * BATCH / (time.perf_counter() - start)
    del batches
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # KB on Linux
    return {"first": first, "cpu": used, "memory": memory, "rate": rate}


def cpu() -> float:
    """Returns the CPU seconds of this process and its ended children."""
    return sum(os.times()[:4])


def row(name: str, found: dict[str, float]) -> str:
    """Returns a row of the table."""
    print(name, found, file=sys.stderr)
    values = [f"{found['first']:.1f}", f"{found['cpu']:.1f}"]
    values += [f"{found[key]:,.0f}" for key in ("memory", "rate")]
    return f"| {' | '.join([name, *values])} |"


def draft_row(size: tuple[int, int], side: int, rounds: int = 40) -> str:
    """Returns the row of one size of JPEG."""
    data, times = jpeg(np.random.default_rng(0), size), []
    for _ in range(rounds):
        pair = []
        for draft in (False, True):
            start = time.process_time()
            decode(data, side, 3, draft=draft)
            pair.append((time.process_time() - start) * 1000)
        times.append(pair)
    full, reduced = (statistics.median(column) for column in zip(*times, strict=True))
    ratio = statistics.median(one / other for one, other in times)
    images = [decode(data, side, 3, draft=draft).float() for draft in (False, True)]
    difference = (images[0] - images[1]).abs().mean()
    name = f"{size[0]}x{size[1]}"
    return f"| {name} | {side} | {full:.2f} | {reduced:.2f} | {ratio:.1f} | {difference:.1f} |"


if __name__ == "__main__":
    print(json.dumps(child(sys.argv[1], json.loads(sys.argv[2]))))
