from __future__ import annotations

import contextlib
import logging
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from lightning.pytorch import Callback
from lightning.pytorch.loggers import Logger
from omegaconf import DictConfig, OmegaConf

from ganforge import atomic
from ganforge.callbacks.checkpoints import ConfigInCheckpoint
from ganforge.callbacks.evaluation import Evaluation
from ganforge.callbacks.interruption import FolderWatch, Interruption
from ganforge.callbacks.progress import TimeBudget
from ganforge.callbacks.run_summary import RunSummary
from ganforge.commands.train_output import dry_run, print_header, print_results
from ganforge.compute.launch import Launch, find_launch
from ganforge.compute.rank_zero import RankZero, as_rank_zero, local_workers, placed, settled
from ganforge.compute.rendezvous import Rendezvous
from ganforge.config.check import check, check_root, unseeded
from ganforge.config.command import Command
from ganforge.config.values import check_name
from ganforge.console import console, setup_logging
from ganforge.errors import FollowedError, GanforgeError, InterruptionError, RunError
from ganforge.paths import check_folder, typed_path
from ganforge.redaction import redacted
from ganforge.runs.build import Parts, build_parts
from ganforge.runs.classes import check_each_class, name_classes
from ganforge.runs.costs import check_costs
from ganforge.runs.folder import RunFolder, refuse_unrelated_files
from ganforge.runs.load import build
from ganforge.runs.lock import locked
from ganforge.runs.provenance import record
from ganforge.runs.record import made_of, note_range, portable, write_config
from ganforge.runs.resuming.resume import Resumed, find_resumed
from ganforge.runs.resuming.resumption import assert_resumes, begin, check_allowed
from ganforge.runs.stored.data_places import explaining_missing_data, make_paths_absolute
from ganforge.runs.stored.settling import settle
from ganforge.runs.stored.trust import remember_own
from ganforge.runs.tracking import send_facts, watchers
from ganforge.runs.trainer import make_trainer, quiet
from ganforge.search.job import trial_callbacks
from ganforge.steady_streams import steady
from ganforge.sweeps.signals import end_sweep

log = logging.getLogger("ganforge")


def train(cfg: DictConfig) -> float | None:
    """Trains a new run, or resumes one that was stopped.

    Args:
        cfg: composed from conf/train.yaml.

    Returns:
        The best value of the monitored score, for sweeps; None without scores.

    Raises:
        GanforgeError: with a message for the user. A new run that made no step leaves no folder.
    """
    launch = find_launch()
    if launch is not None and launch.rank > 0:
        follow(launch)
        return None
    with steady(), as_rank_zero(launch) as rank_zero:
        return _train_as_rank_zero(cfg, rank_zero)


def _train_as_rank_zero(cfg: DictConfig, rank_zero: RankZero) -> float | None:
    """Trains as rank 0 of a run, usually its only process."""
    setup_logging()
    check_root(cfg, "train")
    command = Command.of(cfg)
    replaced = settle(cfg)
    check_allowed(cfg.resume_allow)
    make_paths_absolute(cfg, Path.cwd())
    resumed, typed = find_resumed(cfg, command, replaced), cfg
    if resumed is not None:
        cfg = resumed.cfg
        resumed.folder.refuse_links(typed.get("resume_allow") or [])
    else:
        check_name(str(cfg.name))
        check_costs(cfg)
        name_classes(cfg)
    check(cfg)
    for group in unseeded(cfg):
        log.warning("%s has no seed, so seed= does not change it: add seed: ${seed} to it", group)
    remember_own(typed)
    with contextlib.ExitStack() as lock:
        if resumed is not None and not cfg.dry_run:
            lock.enter_context(locked(resumed.folder.path))
        return _train(cfg, command, resumed, lock, rank_zero, list(typed.resume_allow))


def _train(
    cfg: DictConfig,
    command: Command,
    resumed: Resumed | None,
    lock: contextlib.ExitStack,
    rank_zero: RankZero,
    allow: list[str],
) -> float | None:
    if resumed is None and not cfg.dry_run:  # before the slow part: reading data, classifiers
        _check_folder(cfg, command)
    with explaining_missing_data(cfg.data) if resumed is not None else contextlib.nullcontext():
        parts = build_parts(cfg)
    if resumed is None:
        check_each_class(parts.model, parts.data)
    if cfg.dry_run:
        if resumed is not None:
            assert_resumes(resumed, parts, allow)
        alone = replace(parts, hardware=parts.hardware.alone())
        with quiet():
            dry_run(parts.model, parts.data, make_trainer(alone, None, [], Path.cwd()))
        return None
    if resumed is not None:
        resumed = begin(resumed, parts, allow)
    _prepare_scores(parts)
    note_range(cfg, parts.data)
    folder = resumed.folder if resumed is not None else _new_folder(cfg, command, lock)
    cfg.notes, cfg.tags = redacted(cfg.notes), redacted(list(cfg.tags))
    cfg.run_dir, cfg.name, cfg.resume = str(folder.path), str(cfg.name), None
    try:
        write_config(cfg, folder, command, new=resumed is None)
        print_header(folder, parts.model, parts.data, parts.hardware, resumed)
        checkpoint = resumed.checkpoint if resumed is not None else None
        record(folder.path, command, parts.hardware, checkpoint)
        with rank_zero.training(folder.path, OmegaConf.to_yaml(cfg), parts.hardware, checkpoint):
            best = fit(cfg, parts, folder, checkpoint, command)
        print_results(folder, alone=command.job is None)
        return best
    except BaseException:
        if resumed is None and parts.model.iteration == 0:
            folder.discard(typed_path(cfg.log_dir))
        raise
    finally:
        if folder.path.exists():
            console.print(f"run folder: {folder.path}", soft_wrap=True)


def _check_folder(cfg: DictConfig, command: Command) -> None:
    """Checks that a new run's folder can be written and holds no foreign files or links."""
    path = command.folder or command.job
    if path is None:
        check_folder(typed_path(cfg.log_dir), "log_dir")
    else:
        check_folder(Path(path), "run_dir")
        refuse_unrelated_files(Path(path))


def _new_folder(cfg: DictConfig, command: Command, lock: contextlib.ExitStack) -> RunFolder:
    path = command.folder or command.job
    folder = RunFolder.new(typed_path(cfg.log_dir), str(cfg.name), cfg.seed, path)
    lock.enter_context(locked(folder.path))
    if path is not None:
        _refuse_begun(folder)
        folder.clear()
    return folder


def _refuse_begun(folder: RunFolder) -> None:
    """Refuses to clear the checkpoints of a run that ended just before this one took the lock."""
    if any((folder.checkpoints / f"{kind}.ckpt").is_file() for kind in ("last", "previous")):
        raise RunError(
            f"{folder.path}: another process has just trained here; run the same command again to "
            "resume from its checkpoint"
        )


def follow(launch: Launch) -> None:
    """Joins a run as a worker (rank > 0); prints nothing unless it fails.

    Raises:
        FollowedError: if rank 0 has failed or this process was interrupted; carries the exit code.
        RunError: if this process has failed; the message names its rank and host.
    """
    setup_logging(quiet=True)
    try:
        order = Rendezvous(launch).receive()
        if order.get("exit_code") == 0:  # rank 0 had no work for several processes
            return
        if "exit_code" in order:
            raise FollowedError(order["exit_code"])
        placement = settled(launch, order["trainer"]["devices"])
        with placed(placement), local_workers(launch, placement):
            _join(order)
    except InterruptionError as error:
        raise FollowedError(error.exit_code) from error
    except FollowedError:
        raise
    except GanforgeError as error:
        where = f"process {launch.rank} of {launch.size}, on {socket.gethostname()}"
        raise RunError(f"{where}: {error}") from error


def _join(order: dict[str, Any]) -> None:
    cfg = cast(DictConfig, OmegaConf.create(order["config"]))
    cfg.trainer.update(order["trainer"])
    cfg.logger = {}
    checkpoint = Path(order["checkpoint"]) if order["checkpoint"] is not None else None
    if checkpoint is not None and not checkpoint.is_file():
        raise RunError(
            f"{checkpoint} does not exist here: a run resumes in a folder that all machines share"
        )
    fit(cfg, build_parts(cfg), RunFolder(Path(order["run"])), checkpoint, Command())


def fit(
    cfg: DictConfig, parts: Parts, folder: RunFolder, checkpoint: Path | None, command: Command
) -> float | None:
    """Trains in a run folder, from the start or from a checkpoint."""
    loggers = [cast(Logger, build(node)) for node in cfg.logger.values() if node is not None]
    facts = {
        "run": folder.path.name,
        "command": command.line,
        "model": type(parts.model).__name__,
        "data": parts.data.name,
        "class_names": parts.data.class_names,
        "seed": cfg.seed,
        "device": str(parts.hardware),
    }
    callbacks = [FolderWatch(), *parts.callbacks.values(), *trial_callbacks(cfg)]
    if parts.settings.max_seconds is not None:
        callbacks.append(TimeBudget(parts.settings.max_seconds))
    interruption = Interruption()
    resolved = cast(dict[str, Any], OmegaConf.to_container(cfg, resolve=True))
    config = ConfigInCheckpoint(made_of(cfg), portable(resolved), parts.data.identity)
    callbacks += [config, RunSummary(facts), *watchers(loggers), interruption]
    trainer = make_trainer(parts, loggers, callbacks, folder.path)
    send_facts(loggers, folder.path, command.job, resolved, checkpoint)
    failed = True
    try:
        with quiet(), interruption.listening(), atomic.keeping_folder(folder.path):
            trainer.fit(parts.model, parts.data, ckpt_path=checkpoint)
        failed = False
    finally:
        _finish(failed)
    if interruption.received is not None:  # the signal arrived after the last step
        end_sweep(interruption.received)
    return _best(callbacks)


def _prepare_scores(parts: Parts) -> None:
    """Loads feature extractors before the run folder exists: missing weights leave no folder."""
    for callback in parts.callbacks.values():
        if isinstance(callback, Evaluation):
            callback.check(parts.model, parts.data)
            callback.prepare(torch.device(parts.hardware.accelerator))


def _finish(failed: bool) -> None:
    """Closes the W&B run and the process group, which would leak into a sweep's next job."""
    from ganforge.loggers.wandb.logger import finish

    with contextlib.suppress(Exception):
        finish(failed)
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def _best(callbacks: list[Callback]) -> float | None:
    for callback in callbacks:
        if isinstance(callback, Evaluation) and callback.best:
            return float(callback.best["value"])
    return None


__all__ = ["Parts", "build_parts", "follow", "make_trainer", "train"]
