from __future__ import annotations

import contextlib
import copy
import logging
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import ProgressBar
from lightning.pytorch.loggers import Logger
from lightning.pytorch.plugins import MixedPrecision
from lightning.pytorch.strategies import DDPStrategy
from omegaconf import DictConfig, OmegaConf

from ganforge.callbacks.evaluation import Evaluation
from ganforge.callbacks.interruption import Interruption
from ganforge.callbacks.run_summary import RunSummary
from ganforge.callbacks.time_budget import TimeBudget
from ganforge.config import check, check_root
from ganforge.console import console, print_header, setup_logging
from ganforge.data.image_data import ImageDataModule
from ganforge.data.order import check_divisible
from ganforge.errors import ConfigError, GanforgeError
from ganforge.experiments.checkpoint_io import AtomicCheckpointIO
from ganforge.experiments.command import Command, write_choices
from ganforge.experiments.dry_run import dry_run
from ganforge.experiments.loading import assert_same_architecture, build, build_model
from ganforge.experiments.peers import peers, refuse_foreign_launcher
from ganforge.experiments.resuming import assert_goes_on, find_resumed
from ganforge.experiments.run_folder import RunFolder
from ganforge.hardware import Hardware
from ganforge.models.adversarial import AdversarialModule
from ganforge.trainer_settings import TrainerSettings


@dataclass
class Parts:
    """What a configuration builds, before there is a run folder."""

    settings: TrainerSettings
    hardware: Hardware
    data: ImageDataModule
    model: AdversarialModule
    callbacks: dict[str, Callback]


def train(cfg: DictConfig) -> float | None:
    """Trains what a configuration says, or goes on with a run that was stopped.

    Args:
        cfg: composed from conf/train.yaml.

    Returns:
        The best value of the monitored score, for sweeps; None without scores.

    Raises:
        GanforgeError: with a message for the user. A run that had made no step leaves no folder.
    """
    refuse_foreign_launcher()
    setup_logging()
    check_root(cfg, "train")
    command = Command.of(cfg)
    resumed = find_resumed(cfg, command)
    if resumed is not None:
        cfg = resumed.cfg
    check(cfg)
    parts = build_parts(cfg)
    if cfg.dry_run:
        with _quiet():
            dry_run(parts.model, parts.data, make_trainer(parts, None, [], Path.cwd()))
        return None
    if resumed is not None:
        _check_checkpoint(parts, resumed.checkpoint)
    name = str(cfg.name)
    folder = (
        resumed.folder
        if resumed is not None
        else RunFolder.new(Path(cfg.log_dir), name, cfg.seed, command.job)
    )
    cfg.run_dir, cfg.name, cfg.resume = str(folder.path), name, None
    try:
        _write_config(cfg, folder, command, new=resumed is None)
        print_header(folder, parts.model, parts.data, parts.hardware, resumed)
        with peers(folder.path, parts.hardware.devices):
            return fit(cfg, parts, folder, resumed.checkpoint if resumed else None, command)
    except BaseException:
        if resumed is None and parts.model.iteration == 0:
            folder.discard(Path(cfg.log_dir))
        raise
    finally:
        console.print(f"run folder: {folder.path}", soft_wrap=True, highlight=False)


def join(path: Path) -> None:
    """Takes part in a run as one of its further processes."""
    setup_logging(quiet=True)
    cfg = cast(DictConfig, OmegaConf.load(path / "composed.yaml"))
    cfg.logger = {}
    resumed = os.environ.get("GANFORGE_CHECKPOINT")
    fit(cfg, build_parts(cfg), RunFolder(path), Path(resumed) if resumed else None, Command())


def build_parts(cfg: DictConfig) -> Parts:
    """Builds everything that can be wrong, before anything is written."""
    # Hydra resolves in place what it builds from, but a run keeps its interpolations.
    cfg = copy.deepcopy(cfg)
    settings = cast(TrainerSettings, build(cfg.trainer))
    hardware = settings.hardware()
    data = cast(ImageDataModule, build(cfg.data))
    model = build_model(cfg)
    callbacks = {name: build(node) for name, node in cfg.callbacks.items() if node is not None}
    data.prepare_data()
    data.setup()
    _check_fit(model, data)
    check_divisible(data.batch_size, hardware.devices)
    prepare(model, hardware)
    _check_optimizers(model)
    return Parts(settings, hardware, data, model, callbacks)


def prepare(model: AdversarialModule, hardware: Hardware) -> None:
    """Gives a model the memory layout and optimizers that suit the hardware."""
    if hardware.channels_last:
        model.memory_format = torch.channels_last
        cast(Any, model).to(memory_format=torch.channels_last)
    model.fused_optimizers = hardware.fused


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
        "seed": cfg.seed,
        "device": str(parts.hardware),
    }
    callbacks = [*parts.callbacks.values()]
    if parts.settings.max_seconds is not None:
        callbacks.append(TimeBudget(parts.settings.max_seconds))
    callbacks += [RunSummary(facts), Interruption()]
    trainer = make_trainer(parts, loggers, callbacks, folder.path)
    for logger in loggers:
        logger.log_hyperparams(cast(Any, OmegaConf.to_container(cfg, resolve=True)))
    if checkpoint is not None:
        _truncate(loggers, checkpoint)
    failed = True
    try:
        with _quiet():
            trainer.fit(parts.model, parts.data, ckpt_path=checkpoint)
        failed = False
    finally:
        _finish(failed)
    return _best(callbacks)


def make_trainer(
    parts: Parts, loggers: list[Logger] | None, callbacks: list[Callback], root: Path
) -> Trainer:
    """Makes the trainer that all runs share. ``loggers=None`` makes one that logs nothing."""
    settings, hardware = parts.settings, parts.hardware
    mixed = hardware.precision != "32-true"
    plugins: list[Any] = [AtomicCheckpointIO()]
    if mixed:
        plugins.append(_mixed_precision(hardware))
    return Trainer(
        accelerator=hardware.accelerator,
        devices=hardware.devices,
        strategy=_strategy(hardware),
        precision=None if mixed else "32-true",
        plugins=plugins,
        max_steps=settings.max_steps,
        max_epochs=-1,
        logger=loggers or False,
        callbacks=callbacks,
        default_root_dir=root,
        log_every_n_steps=settings.log_every_n_steps,
        deterministic=settings.deterministic,
        profiler=settings.profiler,
        detect_anomaly=settings.detect_anomaly,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=any(isinstance(callback, ProgressBar) for callback in callbacks),
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
    )


def _strategy(hardware: Hardware) -> Any:
    if hardware.devices == 1:
        return "auto"
    # Each backward reaches one player's weights; the other's count as unused.
    backend = "nccl" if hardware.accelerator == "cuda" else "gloo"
    return DDPStrategy(find_unused_parameters=True, process_group_backend=backend)


def _mixed_precision(hardware: Hardware) -> MixedPrecision:
    device = hardware.accelerator
    scaled = hardware.precision == "16-mixed"
    scaler = torch.amp.GradScaler(device) if scaled else None
    return MixedPrecision(cast(Any, hardware.precision), device, scaler)


def _check_fit(model: AdversarialModule, data: ImageDataModule) -> None:
    for player in ("generator", "discriminator"):
        network = getattr(model, player)
        shape = (getattr(network, "channels", None), getattr(network, "image_size", None))
        if None not in shape and shape != (data.channels, data.image_size):
            raise ConfigError(
                f"network.{player} is made for {shape[0]} x {shape[1]} x {shape[1]} images, and "
                f"data={data.name} has {data.channels} x {data.image_size} x {data.image_size}"
            )


def _check_optimizers(model: AdversarialModule) -> None:
    try:
        model.configure_optimizers()
    except (TypeError, ValueError) as error:
        raise ConfigError(f"optimizer: {error}") from error


def _check_checkpoint(parts: Parts, path: Path) -> None:
    checkpoint = AtomicCheckpointIO().load_checkpoint(path)
    assert_same_architecture(parts.model, checkpoint, path)
    assert_goes_on(checkpoint, parts.settings, path)
    os.environ["GANFORGE_CHECKPOINT"] = str(path)


def _write_config(cfg: DictConfig, folder: RunFolder, command: Command, new: bool) -> None:
    OmegaConf.save(cfg, folder.composed)
    OmegaConf.save(cfg, folder.config, resolve=True)
    if new:
        write_choices(folder.path, command.choices)


def _truncate(loggers: list[Logger], checkpoint: Path) -> None:
    step = AtomicCheckpointIO().load_checkpoint(checkpoint)["progress"]["iteration"]
    for logger in loggers:
        truncate = getattr(logger, "truncate_after", None)
        if truncate is not None:
            truncate(step)


def _finish(failed: bool) -> None:
    """Ends what would leak into the next job of a sweep."""
    from ganforge.loggers.wandb import finish

    with contextlib.suppress(Exception):
        finish(failed)
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    os.environ.pop("GANFORGE_CHECKPOINT", None)


def _best(callbacks: list[Callback]) -> float | None:
    for callback in callbacks:
        if isinstance(callback, Evaluation) and callback.best:
            return float(callback.best["value"])
    return None


@contextlib.contextmanager
def _quiet() -> Any:
    """Keeps away warnings that do not apply to this kind of training."""
    with warnings.catch_warnings():
        for message in (
            ".*does not have many workers.*",
            ".*in eval mode at the start of training.*",
            ".*LeafSpec.*",
            ".*has no `__len__`.*",
            ".*torchdata.*StatefulDataLoader.*",
            ".*resuming from a checkpoint that ended before the epoch.*",
            ".*srun.*",
            ".*isinstance.treespec.*",
            ".*module\\(s\\) in eval mode.*",
            ".*LeafSpec.*",
            ".*in eval mode at the start of training.*",
            ".*Please set the environment variable.*",
        ):
            warnings.filterwarnings("ignore", message=message)
        logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
        yield


__all__ = ["GanforgeError", "train"]
