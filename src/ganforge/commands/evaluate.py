from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig

from ganforge import atomic
from ganforge.callbacks.run_summary import plain, versions
from ganforge.commands.evaluate_images import asks_for_images, score_images
from ganforge.commands.evaluation_logging import log_to_wandb
from ganforge.commands.evaluation_table import show
from ganforge.commands.scoring import score_samples, score_translations
from ganforge.config.check import check
from ganforge.console import console, setup_logging
from ganforge.data.module import SPLITS
from ganforge.errors import ConfigError, RunError
from ganforge.metrics.bootstrap import LEAST
from ganforge.metrics.evaluate import Result
from ganforge.metrics.requested_labels import DISTRIBUTIONS
from ganforge.paths import typed_path
from ganforge.runs.costs import check_evaluation_costs
from ganforge.runs.load import load_restored
from ganforge.runs.stored.lone_checkpoint import find_trained, subject_of
from ganforge.writability import check_folder


def evaluate_run(cfg: DictConfig) -> dict[str, dict[str, Any]]:
    """Evaluates a run or external images; prints a table and writes evaluation.json.

    The file is written to ``out``, by default the run's folder, or the current folder for external
    images. If the run was logged to Weights & Biases, its results are logged there too.

    Args:
        cfg: composed from conf/evaluate.yaml.

    Returns:
        Results by name, in the format of ``metrics`` in summary.json.
    """
    setup_logging()
    images = asks_for_images(cfg)
    if not images:
        cfg.data = {}  # data.* overrides apply to the run's own data, which is loaded later
    check(cfg)
    _check_values(cfg)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if images:
        check_folder(typed_path(cfg.out or Path.cwd()), "out")
        results = score_images(cfg, device)
        subject = {"fake": str(cfg.fake), "real": str(cfg.real)}
        return _report(cfg, results, subject, {}, f"{cfg.fake} against {cfg.real}", Path())
    folder = find_trained(cfg.run, typed_path(cfg.log_dir))
    check_folder(typed_path(cfg.out or folder.path), "out")
    restored = load_restored(cfg.run, cfg.checkpoint, cfg.log_dir, cfg.trust)
    model = restored.model.to(device)
    judge = score_translations if getattr(model, "directions", ()) else score_samples
    results = judge(cfg, folder, restored, device)
    where: dict[str, str | int | float] = {
        "step": model.iteration,
        "images_seen": model.images_seen,
        "weights": cfg.weights,
    }
    title = f"step {model.iteration}, weights {cfg.weights}"
    metrics = _report(cfg, results, subject_of(folder), where, title, folder.path)
    log_to_wandb(folder, results, model.iteration, model.images_seen, cfg.trust)
    return metrics


def _report(
    cfg: DictConfig,
    results: dict[str, Result],
    subject: dict[str, str],
    where: dict[str, Any],
    title: str,
    out: Path,
) -> dict[str, dict[str, Any]]:
    """Writes evaluation.json and prints the table; ``cfg.out`` takes precedence over ``out``."""
    metrics = {name: result.to_dict() | where for name, result in results.items()}
    report = subject | {"seed": cfg.seed, "metrics": metrics, "versions": versions()}
    path = (out if cfg.out is None else typed_path(cfg.out)) / "evaluation.json"
    try:
        atomic.write(path, json.dumps(plain(report), indent=2).encode())
    except OSError as error:
        show(results, title, console)  # results that took long to compute must not be lost
        raise RunError(f"{path} can't be written ({error.strerror or error})") from error
    show(results, title, console)
    console.print(f"written to {path}", soft_wrap=True, highlight=False)
    return metrics


def _check_values(cfg: DictConfig) -> None:
    """Checks values early that would otherwise fail only after a classifier has been trained."""
    if not cfg.metrics:
        raise ConfigError(
            "metrics=[] leaves nothing to measure; legal: a list such as [fid,kid,is]"
        )
    for name, least in (("n", 2), ("n_real", 2), ("batch_size", 1), ("image_size", 1)):
        if cfg[name] is not None and cfg[name] < least:
            raise ConfigError(f"{name} must be at least {least}, got {cfg[name]}")
    check_evaluation_costs(cfg)
    if cfg.bootstrap and cfg.bootstrap < LEAST:
        raise ConfigError(f"bootstrap must be 0 (off) or at least {LEAST}, got {cfg.bootstrap}")
    choices = {"split": SPLITS, "weights": ("ema", "raw"), "labels": DISTRIBUTIONS}
    for name, legal in choices.items():
        if cfg[name] is not None and cfg[name] not in legal:
            raise ConfigError(f"{name} must be one of {', '.join(legal)}; got {cfg[name]!r}")
