"""Compares what two runs wrote, bit by bit but for clocks."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import torch

CLOCK_COLUMNS = {"seconds", "images_per_second"}
CLOCK_KEYS = {"seconds", "seconds_evaluating", "images_per_second"}


def without_clocks(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: without_clocks(v) for k, v in value.items() if k not in CLOCK_KEYS}
    if isinstance(value, list):
        return [without_clocks(item) for item in value]
    return value


def assert_same(ours: Any, theirs: Any, where: str = "") -> None:
    assert type(ours) is type(theirs), where
    if isinstance(ours, dict):
        assert list(ours) == list(theirs), where
        for key in ours:
            assert_same(ours[key], theirs[key], f"{where}/{key}")
    elif isinstance(ours, (list, tuple)):
        assert len(ours) == len(theirs), where
        for index, pair in enumerate(zip(ours, theirs, strict=True)):
            assert_same(*pair, f"{where}/{index}")
    elif isinstance(ours, torch.Tensor):
        assert torch.equal(ours, theirs), where
    else:
        assert ours == theirs or (ours != ours and theirs != theirs), where


def checkpoint(run: Path, kind: str) -> dict[str, Any]:
    loaded = torch.load(run / "checkpoints" / f"{kind}.ckpt", weights_only=True)
    loaded["callbacks"] = {k: v for k, v in loaded["callbacks"].items() if "Kill" not in k}
    loaded = without_clocks(loaded)
    del loaded["loops"]  # Lightning's; how many batches there were is in global_step
    for kept in ("config", "resolved"):
        del loaded[kept]["data"]["workers"]  # of no matter
    return loaded


def metrics(run: Path) -> list[dict[str, str]]:
    with open(run / "metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    return [{k: v for k, v in row.items() if k not in CLOCK_COLUMNS} for row in rows]
