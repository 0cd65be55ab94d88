"""Descriptions of the data for the output of a run: splits, classes, skipped files."""

from __future__ import annotations

from ganforge.data.files.layout import shortened
from ganforge.data.module import ImageDataModule
from ganforge.data.translation.module import TranslationData
from ganforge.plain_text import one_line


def describe_splits(data: ImageDataModule) -> str:
    """Returns the split sizes and the classes: ``train 8, test 4, classes cat, dog``."""
    sizes = [f"{split} {_size(data, split)}" for split in ("train", "test") if data.size(split)]
    if data.class_names:
        sizes.append(f"classes {shortened(data.class_names)}")
    elif data.num_classes:
        sizes.append(f"{data.num_classes:,} classes")
    elif data.finds_classes:
        sizes.append("no classes")
    return one_line(", ".join(sizes))


def describe_reading(data: ImageDataModule) -> dict[str, str]:
    """Returns unused files and other remarks on how the data were read, by heading."""
    lines = {}
    if data.passed_over:
        lines["passed over"] = one_line(", ".join(data.passed_over))
    if data.remarks:
        lines["note"] = one_line("; ".join(data.remarks))
    return lines


def _size(data: ImageDataModule, split: str) -> str:
    if isinstance(data, TranslationData) and not data.paired:
        return f"{data.input_size(split):,} inputs and {data.size(split):,} targets"
    return f"{data.size(split):,}"
