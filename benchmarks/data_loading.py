"""Compares the in-memory loader with a DataLoader over torchvision's data set, in images/s.

    uv run python benchmarks/data_loading.py --mnist-root ../shared/data/mnist

Both yield shuffled float batches in [-1, 1] with labels, in one process with one thread. The
torchvision pipeline is that of the tutorials: PIL image -> ToTensor -> Normalize, padded for
32x32. Rounds are interleaved, so that both run under the same load. Without --mnist-root, random
images in MNIST's layout are used. Prints the table and writes data_loading.md.

    uv run python benchmarks/data_loading.py --files 200000

measures folders instead (see image_folders.py) and writes the second part of data_loading.md.
"""

from __future__ import annotations

import argparse
import gzip
import shutil
import statistics
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import image_folders
import torch
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from ganforge.data.images import to_float
from ganforge.data.sets.mnist import MNIST

BATCH = 64
LEAST = 10.0  # required ratio of images per second


def arguments() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, help="measure a folder of so many JPEGs instead")
    parser.add_argument("--mnist-root", help="folder of torchvision's MNIST/raw")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1.5, help="per loader and round")
    return parser.parse_args()


def unpacked(given: str | None, folder: Path) -> Path:
    """Returns a root with unpacked MNIST files, as torchvision requires."""
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    if given is not None:
        for path in Path(given, "MNIST", "raw").iterdir():
            if path.suffix == ".gz":
                (raw / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
            else:
                shutil.copy(path, raw)
        return folder
    for prefix, count in (("train", 60_000), ("t10k", 10_000)):
        for stem, shape in (("images-idx3", (count, 28, 28)), ("labels-idx1", (count,))):
            header = bytes([0, 0, 8, len(shape)]) + struct.pack(f">{len(shape)}I", *shape)
            data = torch.randint(0, 256 if len(shape) > 1 else 10, shape, dtype=torch.uint8)
            (raw / f"{prefix}-{stem}-ubyte").write_bytes(header + data.numpy().tobytes())
    return folder


def theirs(root: Path, size: int) -> Callable[[], Iterator[torch.Tensor]]:
    """Returns a function that starts an infinite stream of torchvision's batches."""
    border = [transforms.Pad((size - 28) // 2)] if size != 28 else []
    steps = [*border, transforms.ToTensor(), transforms.Normalize((0.5,), (0.5,))]
    data = datasets.MNIST(str(root), transform=transforms.Compose(steps))
    loader = DataLoader(data, batch_size=BATCH, shuffle=True, drop_last=True)

    def stream() -> Iterator[torch.Tensor]:
        while True:
            for images, _ in loader:
                yield images

    return stream


def ours(root: Path, size: int) -> Callable[[], Iterator[torch.Tensor]]:
    """Returns a function that starts an infinite stream of ganforge's batches."""
    data = MNIST(root=str(root), image_size=size, batch_size=BATCH)
    data.setup()
    module = SimpleNamespace(
        images_seen=0, iteration=0, critic_steps_at=lambda at: 1, device=torch.device("cpu")
    )
    data.trainer = SimpleNamespace(
        lightning_module=module, world_size=1, num_devices=1, global_rank=0
    )
    return lambda: (to_float(batch["image"]) for batch in data.train_dataloader())


def rate(stream: Iterator[torch.Tensor], size: int, seconds: float) -> float:
    """Returns images per second after a warm-up of ten batches."""
    for images in islice(stream, 10):
        assert images.shape == (BATCH, 1, size, size)
        assert images.dtype == torch.float32
        assert -1 <= images.min() < images.max() <= 1
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        count += len(next(stream))
    return count / (time.perf_counter() - start)


def write(part: int, text: str) -> None:
    """Prints one of the two parts of data_loading.md and replaces it there."""
    print(text)
    path = Path(__file__).with_suffix(".md")
    mark = f"\n\n{image_folders.TITLE}"
    first, _, second = path.read_text().rstrip().partition(mark)
    parts = [first, image_folders.TITLE + second if second else ""]
    parts[part] = text
    path.write_text("\n\n".join(filter(None, parts)) + "\n")


def main() -> int:
    """Measures, prints and writes the table; returns 0 if the required ratio is reached."""
    given = arguments()
    if given.files is not None:
        write(1, image_folders.report(given.files))
        return 0
    torch.set_num_threads(1)
    rows, ratios = [], []
    with tempfile.TemporaryDirectory() as folder:
        root = unpacked(given.mnist_root, Path(folder))
        for size in (28, 32):
            loaders = ours(root, size), theirs(root, size)
            rounds = [
                tuple(rate(loader(), size, given.seconds) for loader in loaders)
                for _ in range(given.rounds)
            ]
            ratio = statistics.median(mine / other for mine, other in rounds)
            mine, other = (statistics.median(values) for values in zip(*rounds, strict=True))
            rows.append(f"| {size}x{size} | {mine:,.0f} | {other:,.0f} | {ratio:.1f} |")
            ratios.append(ratio)
    report = "\n".join(
        [
            "# Data loading: images per second",
            "",
            f"    uv run python benchmarks/data_loading.py {' '.join(sys.argv[1:])}".rstrip(),
            "",
            f"{'MNIST' if given.mnist_root else 'Random images'}, batches of {BATCH} floats in "
            "[-1, 1], one process with one thread on the CPU, no "
            "loader workers,",
            f"torch {torch.__version__}. Medians of {given.rounds} interleaved rounds.",
            "",
            "| image | ganforge, in memory | DataLoader over torchvision.datasets.MNIST | ratio |",
            "|---|---:|---:|---:|",
            *rows,
        ]
    )
    write(0, report)
    return 0 if min(ratios) >= LEAST else 1


if __name__ == "__main__":
    sys.exit(main())
