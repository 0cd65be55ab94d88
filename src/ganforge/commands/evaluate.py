from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from ganforge import atomic
from ganforge.callbacks.run_summary import plain, versions
from ganforge.commands.evaluate_images import score_images, takes_images
from ganforge.commands.scoring import score_run
from ganforge.config.check import check
from ganforge.config.requests import EvaluateRequest
from ganforge.console import console, setup_logging
from ganforge.data.module import SPLITS
from ganforge.errors import ConfigError, RunError
from ganforge.loggers.wandb.access import first_line
from ganforge.loggers.wandb.logger import finish
from ganforge.loggers.wandb.service import CALL_SECONDS, bounded
from ganforge.metrics.bootstrap import LEAST
from ganforge.metrics.evaluate import Result, points_of
from ganforge.metrics.requested_labels import DISTRIBUTIONS
from ganforge.paths import check_folder, typed_path
from ganforge.plain_text import one_line
from ganforge.runs.costs import check_evaluation_costs
from ganforge.runs.folder import RunFolder
from ganforge.runs.load import build, load_restored, read_config
from ganforge.runs.provenance import group_of
from ganforge.runs.stored.lone_checkpoint import find_trained, subject_of

log = logging.getLogger("ganforge")

PROTOCOL = ("features", "n_real", "n_fake", "split", "resize")


def evaluate_run(request: EvaluateRequest) -> dict[str, dict[str, Any]]:
    """Evaluates a run or external images; prints a table and writes evaluation.json.

    The file is written to ``out``, by default the run's folder, or the current folder for external
    images. If the run was logged to Weights & Biases, its results are logged there too.

    Args:
        request: the command as typed.

    Returns:
        Results by name, in the format of ``metrics`` in summary.json.
    """
    setup_logging()
    images = takes_images(request)
    if not images:
        request.data = {}  # data.* overrides apply to the run's own data, which is loaded later
    parts = {"data": request.data, "features": request.features, "metrics": request.metrics}
    check(OmegaConf.create(parts))
    _check_values(request)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if images:
        check_folder(typed_path(request.out or Path.cwd()), "out")
        results = score_images(request, device)
        subject = {"fake": str(request.fake), "real": str(request.real)}
        return _report(
            request, results, subject, {}, f"{request.fake} against {request.real}", Path()
        )
    folder = find_trained(request.run, typed_path(request.log_dir))
    check_folder(typed_path(request.out or folder.path), "out")
    restored = load_restored(request.run, request.checkpoint, request.log_dir, request.trust)
    model = restored.model.to(device)
    results = score_run(request, folder, restored, device)
    where: dict[str, str | int | float] = {
        "step": model.iteration,
        "images_seen": model.images_seen,
        "weights": request.weights,
    }
    title = f"step {model.iteration}, weights {request.weights}"
    metrics = _report(request, results, subject_of(folder), where, title, folder.path)
    log_to_wandb(folder, results, model.iteration, model.images_seen, request.trust)
    return metrics


def _report(
    request: EvaluateRequest,
    results: dict[str, Result],
    subject: dict[str, str],
    where: dict[str, Any],
    title: str,
    out: Path,
) -> dict[str, dict[str, Any]]:
    """Writes evaluation.json and prints the table; the request's ``out`` takes precedence."""
    metrics = {name: result.to_dict() | where for name, result in results.items()}
    report = subject | {"seed": request.seed, "metrics": metrics, "versions": versions()}
    path = (out if request.out is None else typed_path(request.out)) / "evaluation.json"
    try:
        atomic.write(path, json.dumps(plain(report), indent=2).encode())
    except OSError as error:
        print_results(results, title, console)  # results that took long to compute must not be lost
        raise RunError(f"{path} cannot be written ({error.strerror or error})") from error
    print_results(results, title, console)
    console.print(f"written to {path}", soft_wrap=True)
    return metrics


def _check_values(request: EvaluateRequest) -> None:
    """Checks values early that would otherwise fail only after a classifier has been trained."""
    if not request.metrics:
        raise ConfigError("metrics=[] measures nothing; legal: a list such as [fid,kid,is]")
    for name, least in (("n", 2), ("n_real", 2), ("batch_size", 1), ("image_size", 1)):
        if (number := getattr(request, name)) is not None and number < least:
            raise ConfigError(f"{name} must be at least {least}, got {number}")
    check_evaluation_costs(request)
    if request.bootstrap and request.bootstrap < LEAST:
        raise ConfigError(f"bootstrap must be 0 (off) or at least {LEAST}, got {request.bootstrap}")
    choices = {"split": SPLITS, "weights": ("ema", "raw"), "labels": DISTRIBUTIONS}
    for name, legal in choices.items():
        if (choice := getattr(request, name)) is not None and choice not in legal:
            raise ConfigError(f"{name} must be one of {', '.join(legal)}; got {choice!r}")


def print_results(results: dict[str, Result], title: str, console: Console) -> None:
    """Prints a table with a row for each score.

    The last column numbers the protocol, which is printed below the table: most scores share one,
    and its text does not fit into 80 columns.
    """
    protocols = {name: _protocol(result) for name, result in results.items()}
    distinct = list(dict.fromkeys(protocols.values()))
    intervals = any(result.bootstrap for result in results.values())
    table = Table(title=Text(one_line(title)))
    table.add_column("score", overflow="fold", no_wrap=True)
    for heading in ["value", *(["95 % interval"] if intervals else []), "by"]:
        table.add_column(heading, overflow="fold")
    for name, result in results.items():
        values = [_value(result), *([_interval(result)] if intervals else [])]
        table.add_row(one_line(name), *values, str(distinct.index(protocols[name]) + 1))
    lines = [
        Text(one_line(f"protocol {number}: {text}")) for number, text in enumerate(distinct, 1)
    ]
    console.print(Group(table, *lines))


def log_to_wandb(
    folder: RunFolder,
    results: dict[str, Result],
    step: int,
    images: int,
    trust: Sequence[str] = (),
) -> None:
    """Logs results to the run's own entry in Weights & Biases, as ``evaluate/...``.

    The prefix keeps them apart from the values logged in training, whose protocol differs. A run
    recorded offline gets another part with the same ID, for ``ganforge sync``. Runs that were never
    logged to Weights & Biases are skipped. A failure is logged as a warning.

    Args:
        folder: folder of the run.
        results: results by published name.
        step: generator updates of the evaluated weights.
        images: real images that these weights have seen in training.
        trust: user packages that the run's configuration may import.
    """
    node = OmegaConf.select(read_config(folder, trust), "logger.wandb")
    if node is None or not (folder.path / "wandb" / "run_id").is_file():
        return
    try:
        # The stored folder may be outdated: the run can have been moved.
        own = {"folder": str(folder.path), "group": node.get("group") or group_of(folder.path)}
        run = build({**node, **own}).open()
        point = _points(results) | {"step": step, "images_seen": images}
        bounded(lambda: run.log(point), CALL_SECONDS, "W&B: results")
    except Exception as error:  # wandb missing, server down, disk full, no permission ...
        log.warning("W&B DID NOT ACCEPT THESE RESULTS: %s", first_line(error))
    finish()


def _points(results: dict[str, Result]) -> dict[str, object]:
    points: dict[str, object] = dict(points_of(results))
    for name, result in results.items():
        if result.bootstrap:
            points |= {f"{name}_low": result.low, f"{name}_high": result.high}
    return {f"evaluate/{name}": value for name, value in points.items()}


def _protocol(result: Result) -> str:
    settings = asdict(result)
    return ", ".join(f"{key}={settings[key]}" for key in PROTOCOL)


def _value(result: Result) -> str:
    spread = f" +- {result.std:.3g}" if result.std is not None else ""
    return f"{result.value:.4g}{spread}"


def _interval(result: Result) -> str:
    return "" if result.low is None else f"{result.low:.4g} ... {result.high:.4g}"
