"""Compares how long a checkpoint blocks the training thread, written by it and in the background.

    uv run python benchmarks/checkpoint_time.py
    uv run python benchmarks/checkpoint_time.py --device cuda --folder /mnt/nfs

The state is that of StyleGAN2-ADA at its published size for CIFAR-10: generator, its average,
discriminator and the two moments of Adam for each parameter. In each round, the same state is saved
by the training thread (`callbacks.checkpoints.background=false`) and in the background (`true`), in
alternating order, each time with nothing else in flight. In the background, the training thread
only copies the state to host memory. In the meantime it multiplies matrices: the slowdown is that
of the multiplications while a file is written, against those of the same length without writing.
The two files are compared byte by byte (on the CPU; files of a GPU's state name the device). Prints
the table and writes checkpoint_time.md.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ganforge.callbacks.checkpoint_writer import CheckpointWriter
from ganforge.networks.stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator
from ganforge.runs.stored.checkpoint import AtomicCheckpointIO

HERE = Path(__file__).parent


@dataclass
class Save:
    """Seconds of one save.

    Attributes:
        blocked: until the training thread continues.
        computing: processor time of the training thread in this time.
        written: until the file is complete.
        slowdown: of the training thread's work in between; 1 if there is none.
    """

    blocked: float
    computing: float
    written: float
    slowdown: float = 1.0


def state(device: torch.device) -> dict[str, Any]:
    """Returns the tensors of a checkpoint of StyleGAN2-ADA for CIFAR-10, with random values."""
    torch.manual_seed(0)
    generator = StyleGAN2Generator(32, 3, latent_dim=512, width=512)
    networks = {
        "generator": generator,
        "average": generator,
        "discriminator": StyleGAN2Discriminator(32, 3, width=512),
    }
    tensors, optimizers = {}, []
    for player, network in networks.items():
        for name, value in network.state_dict().items():
            tensors[f"{player}.{name}"] = value.to(device, copy=True)
    for player in ("generator", "discriminator"):
        shapes = [parameter.shape for parameter in networks[player].parameters()]
        moments = [
            {name: torch.rand(shape, device=device) for name in ("exp_avg", "exp_avg_sq")}
            for shape in shapes
        ]
        steps = [entry | {"step": torch.tensor(1.0)} for entry in moments]
        optimizers.append({"state": dict(enumerate(steps)), "param_groups": [{"lr": 0.0025}]})
    return {"state_dict": tensors, "optimizer_states": optimizers}


def size_of(value: Any) -> int:
    """Returns the bytes of all tensors in nested containers."""
    if isinstance(value, torch.Tensor):
        return value.nbytes
    if isinstance(value, dict):
        return sum(map(size_of, value.values()))
    return sum(map(size_of, value)) if isinstance(value, (list, tuple)) else 0


def multiplier(device: torch.device) -> Callable[[], None]:
    """Returns some milliseconds of work of the training thread."""
    matrix = torch.rand(512, 512, device=device)

    def work() -> None:
        torch.mm(matrix, matrix)
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    return work


def paced(work: Callable[[], None], until: Callable[[], bool]) -> tuple[int, float]:
    """Repeats work until a condition holds; returns the repetitions and the seconds."""
    count, started = 0, time.perf_counter()
    while not until():
        work()
        count += 1
    return count, time.perf_counter() - started


def save(
    writer: CheckpointWriter, content: dict[str, Any], path: Path, work: Callable[[], None]
) -> Save:
    """Saves once and waits for the file."""
    started, computed = time.perf_counter(), time.thread_time()
    writer.save_checkpoint(content, path)
    blocked, computing = time.perf_counter() - started, time.thread_time() - computed
    if not writer.background:
        return Save(blocked, computing, blocked)
    thread = writer._thread
    assert thread is not None
    count, seconds = paced(work, lambda: not thread.is_alive())
    writer.wait()
    written, end = time.perf_counter() - started, time.perf_counter() + seconds
    alone, alone_seconds = paced(work, lambda: time.perf_counter() >= end)
    return Save(blocked, computing, written, (alone / alone_seconds) / (max(count, 1) / seconds))


def measure(device: torch.device, rounds: int, folder: Path) -> tuple[dict[bool, list[Save]], int]:
    """Returns the saves by whether they are in the background, and the bytes of the state."""
    content, work = state(device), multiplier(device)
    writers = {way: CheckpointWriter(AtomicCheckpointIO(), way) for way in (False, True)}
    paths = {way: folder / f"{way}" / "best.ckpt" for way in writers}
    saves: dict[bool, list[Save]] = {False: [], True: []}
    for index in range(rounds + 1):
        for way in (False, True) if index % 2 else (True, False):
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            found = save(writers[way], content, paths[way], work)
            if index:  # the first round allocates memory
                saves[way].append(found)
    if device.type == "cpu":
        assert paths[False].read_bytes() == paths[True].read_bytes()
    return saves, size_of(content)


def table(saves: dict[bool, list[Save]], size: int, device: torch.device) -> str:
    """Returns the table in Markdown."""
    lines = [
        "| written | blocked, ms: median (range) | of which computing, ms | file complete, ms "
        "| slowdown meanwhile |",
        "|---|---:|---:|---:|---:|",
    ]
    names = {False: "by the training thread", True: "in the background"}
    for way, found in saves.items():
        blocked = [1000 * one.blocked for one in found]
        complete = statistics.median(1000 * one.written for one in found)
        computing = statistics.median(1000 * one.computing for one in found)
        slower = f"{statistics.median(one.slowdown for one in found):.2f}" if way else "stopped"
        lines.append(
            f"| {names[way]} | {statistics.median(blocked):.0f} "
            f"({min(blocked):.0f} to {max(blocked):.0f}) | {computing:.0f} | {complete:.0f} "
            f"| {slower} |"
        )
    ratios = [one.blocked / two.blocked for one, two in zip(saves[False], saves[True], strict=True)]
    kind = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    lines += [
        "",
        f"A state of {size / 1e6:.0f} MB. In the background, the training thread is blocked "
        f"{statistics.median(ratios):.1f} times shorter (median of {len(ratios)} interleaved "
        f"rounds; {min(ratios):.1f} to {max(ratios):.1f}). `uv run python "
        f"benchmarks/checkpoint_time.py` on {kind}, {torch.get_num_threads()} threads, torch "
        f"{torch.__version__}.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument(
        "--folder", type=Path, help="where the files are written; default: temporary"
    )
    parser.add_argument("--out", type=Path, default=HERE / "checkpoint_time.md")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        saves, size = measure(arguments.device, arguments.rounds, Path(folder))
    text = table(saves, size, arguments.device)
    print(text)
    arguments.out.write_text(text)


if __name__ == "__main__":
    main()
