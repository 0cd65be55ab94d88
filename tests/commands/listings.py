"""Runs to list and remove, and the configuration of `ganforge runs`."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from ganforge.config.requests import RunsRequest

DAY = 86400
TRAIN = "logs/train/2026-11-22"


def made(path, age=0.0, status="completed", step=20, best=None, weight=1000, **choices) -> Path:
    """Writes what a listing reads of a run; ``best``: name, value, whether higher is better."""
    (path / "checkpoints").mkdir(parents=True)
    (path / "composed.yaml").write_text("seed: 0\n")
    (path / "choices.json").write_text(json.dumps({"model": "dcgan", "data": "mnist"} | choices))
    (path / "checkpoints" / "last.ckpt").write_bytes(b"0" * weight)
    if status is not None:
        summary = {"status": status, "step": step, "metrics": {}}
        if best is not None:
            name, value, up = best
            summary["best"] = {name: {"name": name, "value": value}}
            summary["metrics"] = {name: {"higher_is_better": up}}
        (path / "summary.json").write_text(json.dumps(summary))
    aged(path, age)
    return path.resolve()


def aged(path: Path, age: float) -> None:
    then = time.time() - age
    for file in path.rglob("*"):
        os.utime(file, (then, then))


def composed(typed) -> DictConfig:
    """Returns what Hydra would compose of plain overrides; it takes its time for each."""
    cfg = OmegaConf.structured(RunsRequest)
    for key, _, value in (override.partition("=") for override in typed):
        value = {"true": True, "false": False}.get(value, value)
        (cfg if key in cfg else cfg.where).update({key: value})
    return cfg
