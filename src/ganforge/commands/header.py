"""Output at the start of training."""

from __future__ import annotations

from ganforge.callbacks.run_summary import count_parameters
from ganforge.compute.hardware import Hardware
from ganforge.console import console
from ganforge.data.description import describe_reading, describe_splits
from ganforge.data.module import ImageDataModule
from ganforge.models.engine.adversarial import AdversarialModule
from ganforge.runs.folder import RunFolder
from ganforge.runs.resuming.resume import Resumed


def print_header(
    folder: RunFolder,
    model: AdversarialModule,
    data: ImageDataModule,
    hardware: Hardware,
    resumed: Resumed | None,
) -> None:
    """Prints the run's folder, model, data, hardware and, if it resumes, its checkpoint."""
    lines = {
        "run folder": str(folder.path),
        "model": f"{type(model).__name__}, generator {count_parameters(model.generator):,} and "
        f"discriminator {count_parameters(model.discriminator):,} parameters",
        **data_lines(data),
        "hardware": str(hardware),
    }
    if resumed is not None:
        lines["resumed"] = str(resumed.checkpoint)
    print_lines(lines)


def print_lines(lines: dict[str, str]) -> None:
    """Prints names and texts in two columns, each pair on one line."""
    for name, text in lines.items():
        console.print(f"{name + ':':<13}{text}", soft_wrap=True, highlight=False, markup=False)


def data_lines(data: ImageDataModule) -> dict[str, str]:
    """Returns the header lines about data: sizes, splits, classes and skipped files."""
    size = f"{data.channels} x {data.image_size} x {data.image_size}"
    images = f"{data.name}, {data.size('train'):,} images {size}, batch {data.batch_size}"
    return {"data": f"{images}, {describe_splits(data)}", **describe_reading(data)}
