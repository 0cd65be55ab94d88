from __future__ import annotations

import contextlib
import logging
from dataclasses import replace
from pathlib import Path

import torch
from omegaconf import DictConfig, OmegaConf

from ganforge.callbacks.evaluation import Evaluation
from ganforge.callbacks.samples import Samples
from ganforge.commands.fit import fit
from ganforge.commands.train_output import dry_run, print_header, print_results
from ganforge.commands.worker import follow
from ganforge.compute.backends import backends
from ganforge.compute.launch import find_launch
from ganforge.compute.load import LOAD
from ganforge.compute.rank_zero import RankZero, as_rank_zero
from ganforge.compute.threads import Threads, choose_threads, using_threads
from ganforge.config.check import check, check_root, unseeded
from ganforge.config.command import Command
from ganforge.config.values import check_name
from ganforge.console import setup_logging
from ganforge.needs import translates
from ganforge.runs.build import Parts, build_parts
from ganforge.runs.classes import check_each_class, name_classes
from ganforge.runs.costs import check_costs
from ganforge.runs.lock import locked
from ganforge.runs.provenance import record, threads_of
from ganforge.runs.record import note_range
from ganforge.runs.resuming.resume import Resumed, find_resumed
from ganforge.runs.resuming.resumption import assert_resumes, begin, check_allowed
from ganforge.runs.run import Run, check_new_folder
from ganforge.runs.stored.data_places import explaining_missing_data, make_paths_absolute
from ganforge.runs.stored.settling import settle
from ganforge.runs.stored.trust import remember_own
from ganforge.runs.trainer import make_trainer, quiet
from ganforge.terminal import steady

log = logging.getLogger("ganforge")


def train(cfg: DictConfig) -> Run | None:
    """Trains a new run, or resumes one that was stopped.

    Args:
        cfg: composed from conf/train.yaml.

    Returns:
        The run; None after a dry run and in worker processes.

    Raises:
        GanforgeError: with a message for the user. A new run that made no step leaves no folder.
    """
    launch = find_launch()
    if launch is not None and launch.rank > 0:
        follow(launch)
        return None
    with steady(), as_rank_zero(launch) as rank_zero:
        return _train_as_rank_zero(cfg, rank_zero)


def train_and_score(cfg: DictConfig) -> float | None:
    """Trains; returns the best value of the monitored score, for sweeps; None without scores."""
    run = train(cfg)
    return None if run is None else run.best


def _train_as_rank_zero(cfg: DictConfig, rank_zero: RankZero) -> Run | None:
    """Trains as rank 0 of a run, usually its only process."""
    setup_logging()
    LOAD.watch()
    check_root(cfg, "train")
    command, typed = Command.of(cfg), cfg
    replaced = settle(cfg)
    check_allowed(cfg.resume_allow)
    make_paths_absolute(cfg, Path.cwd())
    resumed = find_resumed(cfg, command, replaced)
    cfg = _checked_new(cfg) if resumed is None else resumed.cfg
    allow = list(typed.resume_allow)
    if resumed is not None:
        resumed.folder.refuse_links(allow)
    check(cfg)
    for group in unseeded(cfg):
        log.warning("%s has no seed, so seed= does not change it: add seed: ${seed} to it", group)
    remember_own(typed)
    lock = locked(resumed.folder.path) if resumed is not None and not cfg.dry_run else None
    with lock or contextlib.nullcontext():
        parts = _build(cfg, command, resumed)
        if cfg.dry_run:
            _dry_run(parts, resumed, allow)
            return None
        if resumed is not None:
            resumed = begin(resumed, parts, allow)
        threads = _threads(parts, resumed)
        _prepare_scores(parts)
        parts.data.decode_once()
        note_range(cfg, parts.data)
        with Run.open(cfg, command, parts.model, resumed) as run, using_threads(threads.count):
            checkpoint = resumed.checkpoint if resumed is not None else None
            print_header(run.folder, parts.model, parts.data, parts.hardware, threads, resumed)
            record(run.path, command, parts.hardware, checkpoint, threads.count)
            config, hardware = OmegaConf.to_yaml(cfg), parts.hardware
            with rank_zero.training(run.path, config, hardware, checkpoint, threads.count):
                fit(cfg, parts, run.path, checkpoint, command)
            print_results(run.folder, translates(parts.model), alone=command.job is None)
        return run


def _checked_new(cfg: DictConfig) -> DictConfig:
    check_name(str(cfg.name))
    check_costs(cfg)
    name_classes(cfg)
    return cfg


def _build(cfg: DictConfig, command: Command, resumed: Resumed | None) -> Parts:
    """Builds the parts of a run and checks what needs its data or its folder."""
    if resumed is not None:
        with explaining_missing_data(cfg.data):
            return build_parts(cfg)
    if not cfg.dry_run:
        check_new_folder(cfg, command)
    parts = build_parts(cfg)
    check_each_class(parts.model, parts.data)
    return parts


def _threads(parts: Parts, resumed: Resumed | None) -> Threads:
    """Returns the number of threads of each process; warns if a resumed run had another one."""
    former = threads_of(resumed.folder.path) if resumed is not None else None
    threads = choose_threads(parts.settings.threads, parts.hardware.devices, former)
    if threads.warning is not None:
        log.warning("%s", threads.warning)
    return threads


def _dry_run(parts: Parts, resumed: Resumed | None, allow: list[str]) -> None:
    if resumed is not None:
        assert_resumes(resumed, parts, allow)
    alone = replace(parts, hardware=parts.hardware.alone())
    with quiet(), backends(alone.hardware, alone.settings.deterministic):
        dry_run(parts.model, parts.data, make_trainer(alone, None, [], Path.cwd()))


def _prepare_scores(parts: Parts) -> None:
    """Loads feature extractors before the run folder exists: missing weights leave no folder."""
    for callback in parts.callbacks.values():
        if isinstance(callback, (Evaluation, Samples)):
            callback.check(parts.model, parts.data)
        if isinstance(callback, Evaluation):
            callback.prepare(torch.device(parts.hardware.accelerator))
