from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from ganforge.data.image_data import ImageDataModule
    from ganforge.experiments.resuming import Resumed
    from ganforge.experiments.run_folder import RunFolder
    from ganforge.hardware import Hardware
    from ganforge.models.adversarial import AdversarialModule

console = Console()


def setup_logging(quiet: bool = False) -> None:
    """Sends the project's own log lines to the terminal, and quietens its libraries."""
    logger = logging.getLogger("ganforge")
    logger.setLevel(logging.ERROR if quiet else logging.INFO)
    logger.propagate = False
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s  %(message)s", "%H:%M:%S"))
        logger.addHandler(handler)
    for name in ("lightning.pytorch", "lightning.fabric", "lightning"):
        logging.getLogger(name).setLevel(logging.ERROR)
    # The table that trainer.profiler asks for.
    logging.getLogger("lightning.pytorch.profilers").setLevel(logging.INFO)


def print_header(
    folder: RunFolder,
    model: AdversarialModule,
    data: ImageDataModule,
    hardware: Hardware,
    resumed: Resumed | None,
) -> None:
    """Prints what is about to run, its folder first."""
    # torch: not every verb needs it
    from ganforge.callbacks.run_summary import count_parameters
    from ganforge.data.description import describe_reading, describe_splits

    size = f"{data.channels} x {data.image_size} x {data.image_size}"
    lines = {
        "run folder": str(folder.path),
        "model": f"{type(model).__name__}, generator {count_parameters(model.generator):,} and "
        f"discriminator {count_parameters(model.discriminator):,} parameters",
        "data": f"{data.name}, {data.size('train'):,} images {size}, batch {data.batch_size}, "
        f"{describe_splits(data)}",
        **describe_reading(data),
        "hardware": str(hardware),
    }
    if resumed is not None:
        lines["resumed"] = str(resumed.checkpoint)
    for name, text in lines.items():
        console.print(f"{name + ':':<13}{text}", soft_wrap=True, highlight=False, markup=False)
