from __future__ import annotations

from lightning.pytorch import Trainer
from rich.table import Table
from torch import nn

from ganforge.callbacks.run_summary import count_parameters
from ganforge.commands.header import data_lines
from ganforge.console import console
from ganforge.data.module import ImageDataModule
from ganforge.models.engine.adversarial import AdversarialModule


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
