"""Output of training: before the first step, after the last one, and of a dry run."""

from __future__ import annotations

import shlex
from typing import Any

from lightning.pytorch import Trainer
from rich.table import Table
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ganforge.callbacks.run_summary import count_parameters
from ganforge.compute.hardware import Hardware
from ganforge.compute.threads import Threads
from ganforge.console import console
from ganforge.data.files.layout import shortened
from ganforge.data.module import ImageDataModule
from ganforge.data.translation.module import TranslationData
from ganforge.models.engine.adversarial import AdversarialModule
from ganforge.networks.layers.synchronized import SynchronizedBatchNorm
from ganforge.plain_text import one_line
from ganforge.runs.folder import RunFolder
from ganforge.runs.resuming.resume import Resumed
from ganforge.terminal import as_typed

MAX_SCORES = 6  # in the line of scores


def print_header(
    folder: RunFolder,
    model: AdversarialModule,
    data: ImageDataModule,
    hardware: Hardware,
    threads: Threads,
    resumed: Resumed | None,
) -> None:
    """Prints the run's folder, model, data, hardware, threads and, if it resumes, checkpoint."""
    lines = {
        "run folder": str(folder.path),
        "model": f"{type(model).__name__}, generator {count_parameters(model.generator):,} and "
        f"discriminator {count_parameters(model.discriminator):,} parameters",
        **data_lines(data),
        "hardware": str(hardware),
        **batch_norm_line(model, data.batch_size, hardware.processes),
        "threads": str(threads),
    }
    if resumed is not None:
        lines["resumed"] = str(resumed.checkpoint)
    print_lines(lines)


def batch_norm_line(model: AdversarialModule, batch: int, processes: int) -> dict[str, str]:
    """Returns the header line that says over how many images BatchNorm normalizes, if there is one.

    Args:
        model: the model, prepared for the hardware.
        batch: images of an update, over all processes.
        processes: number of processes.
    """
    layers = [m for net in model.players.values() for m in net.modules()]
    norms = [layer for layer in layers if isinstance(layer, _BatchNorm)]
    if not norms:
        return {}
    rows = max(batch // processes // model.accumulate, 1)
    if any(isinstance(norm, SynchronizedBatchNorm) for norm in norms):
        return {"BatchNorm": f"over {rows * processes} images, of all processes"}
    remedy = "; trainer.sync_batchnorm=true takes those of all" if processes > 1 else ""
    return {
        "BatchNorm": f"over {rows} images" + (" of a process" if processes > 1 else "") + remedy
    }


def print_results(folder: RunFolder, translates: bool, alone: bool) -> None:
    """Prints the scores of a completed run, its last samples and commands to run next.

    The commands depend on whether the model ``translates`` images, and are printed only if the run
    is ``alone``, not a job of a sweep.
    """
    lines = {}
    if scores := describe_scores(folder.read_summary()):
        lines["scores"] = scores
    if pictures := sorted((folder.path / "samples").glob("step_*.png")):
        lines["samples"] = str(pictures[-1])
    if alone:
        run = shlex.quote(one_line(folder.path))
        translate = f"ganforge translate run={run} input=DIR out=DIR"
        lines["next"] = as_typed(translate if translates else f"ganforge sample run={run}")
        lines["or"] = as_typed(f"ganforge report run={run}")
    print_lines(lines)


def describe_scores(summary: dict[str, Any]) -> str:
    """Returns ``fid_classifier 8.51 at step 2000 (best 8.22 at step 1800), is_classifier 7.9``.

    ``summary`` is the content of summary.json. Scores without a value are left out.
    """
    metrics, best = summary.get("metrics") or {}, summary.get("best") or {}
    texts = []
    for name, final in metrics.items():
        if final.get("value") is None:
            continue
        text = f"{name} {final['value']:.4g}"
        text += f" at step {final['step']}" if "step" in final else ""  # baselines have no step
        reached = best.get(name) or {}
        if reached.get("value") not in (None, final["value"]):
            text += f" (best {reached['value']:.4g} at step {reached['step']})"
        texts.append(text)
    more = f" and {len(texts) - MAX_SCORES} more" if len(texts) > MAX_SCORES else ""
    return ", ".join(texts[:MAX_SCORES]) + more


def dry_run(model: AdversarialModule, data: ImageDataModule, trainer: Trainer) -> None:
    """Prints the networks' sizes and the losses after one training step; writes no files."""
    for player in ("generator", "discriminator"):
        console.print(sizes(player, getattr(model, player)))
    console.print(f"one step of {data.batch_size} images:")
    for name, text in data_lines(data).items():
        console.print(f"{name}: {text}", soft_wrap=True)
    trainer.fit_loop.epoch_loop.max_steps = 1
    trainer.log_every_n_steps = 1  # type: ignore[attr-defined]
    trainer.fit(model, data)
    table = Table("value", "after one step", title="losses")
    for name, value in sorted(trainer.callback_metrics.items()):
        table.add_row(name, f"{float(value):.4g}")
    console.print(table)


def sizes(name: str, network: nn.Module) -> Table:
    """Returns a table of a network's modules and their numbers of trainable parameters."""
    table = Table("part", "kind", "parameters", title=f"{name}: {count_parameters(network):,}")
    for part, layer in network.named_modules():
        own = sum(p.numel() for p in layer.parameters(recurse=False) if p.requires_grad)
        if own:
            table.add_row(part or name, type(layer).__name__, f"{own:,}")
    return table


def print_lines(lines: dict[str, str]) -> None:
    """Prints names and texts in two columns, each pair on one line."""
    for name, text in lines.items():
        console.print(f"{name + ':':<13}{text}", soft_wrap=True)


def data_lines(data: ImageDataModule) -> dict[str, str]:
    """Returns the header lines about data: sizes, splits, classes and skipped files."""
    size = f"{data.channels} x {data.image_size} x {data.image_size}"
    images = f"{data.name}, {data.size('train'):,} images {size}, batch {data.batch_size}"
    return {"data": f"{images}, {_splits(data)}", **_reading(data)}


def _splits(data: ImageDataModule) -> str:
    """Returns the split sizes and the classes: ``train 8, test 4, classes cat, dog``."""
    sizes = [f"{split} {_size(data, split)}" for split in ("train", "test") if data.size(split)]
    if data.class_names:
        sizes.append(f"classes {shortened(data.class_names)}")
    elif data.num_classes:
        sizes.append(f"{data.num_classes:,} classes")
    elif data.finds_classes:
        sizes.append("no classes")
    return one_line(", ".join(sizes))


def _reading(data: ImageDataModule) -> dict[str, str]:
    """Returns unused files and other remarks on how the data were read, by heading."""
    lines = {}
    if data.skipped:
        lines["skipped"] = one_line(", ".join(data.skipped))
    if data.remarks:
        lines["note"] = one_line("; ".join(data.remarks))
    return lines


def _size(data: ImageDataModule, split: str) -> str:
    if isinstance(data, TranslationData) and "pairs" not in data.gives:
        return f"{data.input_size(split):,} inputs and {data.size(split):,} targets"
    return f"{data.size(split):,}"
