from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from rich.table import Table

from ganforge import atomic
from ganforge.callbacks.run_summary import plain, versions
from ganforge.config import check
from ganforge.console import console, setup_logging
from ganforge.data.image_data import SPLITS
from ganforge.errors import ConfigError
from ganforge.experiments.judging import judge_samples, judge_translations
from ganforge.experiments.loading import load
from ganforge.experiments.run_folder import RunFolder
from ganforge.metrics.evaluate import Result
from ganforge.metrics.requested_labels import DISTRIBUTIONS


def evaluate_run(cfg: DictConfig) -> dict[str, dict[str, Any]]:
    """Scores a run, prints the table with its protocol, and writes evaluation.json.

    Args:
        cfg: composed from conf/evaluate.yaml.

    Returns:
        Results by name, in the form of summary.json's metrics.
    """
    setup_logging()
    check(cfg)
    _check_values(cfg)
    folder = RunFolder.find(cfg.run, Path(cfg.log_dir))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = load(cfg.run, cfg.checkpoint, cfg.log_dir).to(device)
    judge = judge_translations if getattr(model, "directions", ()) else judge_samples
    results = judge(cfg, folder, model, device)
    where = {"step": model.iteration, "images_seen": model.images_seen, "weights": cfg.weights}
    metrics = {name: result.to_dict() | where for name, result in results.items()}
    out = (folder.path if cfg.out is None else Path(cfg.out)) / "evaluation.json"
    report = {"run": str(folder.path), "seed": cfg.seed, "metrics": metrics, "versions": versions()}
    atomic.write(out, json.dumps(plain(report), indent=2).encode())
    console.print(_table(results, cfg.weights, model.iteration))
    console.print(f"written to {out}", soft_wrap=True, highlight=False)
    return metrics


def _check_values(cfg: DictConfig) -> None:
    """Refuses what would be found out only after a classifier has been trained."""
    if not cfg.metrics:
        raise ConfigError(
            "metrics=[] leaves nothing to measure; legal: a list such as [fid,kid,is]"
        )
    for name, least in (("n", 2), ("batch_size", 1)):
        if cfg[name] is not None and cfg[name] < least:
            raise ConfigError(f"{name} must be at least {least}, got {cfg[name]}")
    choices = {"split": SPLITS, "weights": ("ema", "raw"), "labels": DISTRIBUTIONS}
    for name, legal in choices.items():
        if cfg[name] is not None and cfg[name] not in legal:
            raise ConfigError(f"{name} must be one of {', '.join(legal)}; got {cfg[name]!r}")


def _table(results: dict[str, Result], weights: str, step: int) -> Table:
    table = Table("score", "value", "features", "n_real", "n_fake", "split", "resize", "weights")
    table.title = f"step {step}"
    for name, result in results.items():
        spread = f" +- {result.std:.3g}" if result.std is not None else ""
        plain = asdict(result)
        protocol = [str(plain[key]) for key in ("features", "n_real", "n_fake", "split", "resize")]
        table.add_row(name, f"{result.value:.4g}{spread}", *protocol, weights)
    return table
