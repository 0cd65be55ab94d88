from __future__ import annotations

import copy
import logging
import math
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from ganforge.compute.hardware import TrainerSettings
from ganforge.config.command import Command
from ganforge.errors import ConfigError, DamagedError, GanforgeError, RunError
from ganforge.models.engine.adversarial import AdversarialModule
from ganforge.paths import typed_path
from ganforge.plain_text import one_line
from ganforge.runs.folder import RunFolder
from ganforge.runs.lock import is_locked
from ganforge.runs.provenance import overrides_of
from ganforge.runs.record import NAMED, assert_fits
from ganforge.runs.resuming.groups import exchange
from ganforge.runs.resuming.identity import different_keys
from ganforge.runs.resuming.own_keys import change, refuse_endless
from ganforge.runs.stored.checkpoint import (
    LAST,
    PREVIOUS,
    AtomicCheckpointIO,
    assert_writable,
)
from ganforge.runs.stored.checkpoint_contents import assert_finite, assert_resumable
from ganforge.runs.stored.config import keep_former_devices, read_own, read_resolved
from ganforge.runs.stored.lone_checkpoint import refuse_resuming
from ganforge.runs.stored.settling import reads_clock
from ganforge.runs.stored.trust import computes, confined, settled, trusted

log = logging.getLogger("ganforge")

# Keys that control resuming, and are not part of the run's configuration.
OF_A_COMMAND = ("resume", "resume_allow", "run_dir")


@dataclass(frozen=True)
class Resumed:
    """A run to resume.

    Attributes:
        folder: its folder.
        checkpoint: the checkpoint to resume from.
        cfg: its configuration, with the changes of the current command line.
    """

    folder: RunFolder
    checkpoint: Path
    cfg: DictConfig


def find_resumed(cfg: DictConfig, command: Command, replaced: dict[str, str]) -> Resumed | None:
    """Returns the run to resume; None if a new run is to be started.

    With a given folder (a job of a sweep, or run_dir=DIR), the run in that folder is resumed, so
    repeating the command is enough after any interruption. As with resume=auto, the configurations
    must have the same values. Environment variables are compared by value, but ``${now:...}`` by
    the typed expression, since its value differs in every command. The run keeps the values that
    it was started with.

    Args:
        cfg: composed from conf/train.yaml, with resolved values.
        command: the parsed command line.
        replaced: the expressions that values of ``cfg`` were resolved from, by dotted key.

    Raises:
        ConfigError: both ``resume`` and ``run_dir`` are given, the folder holds a run of another
            configuration, or a typed key cannot be changed.
        RunError: the named run does not exist, is damaged or is not trusted.
    """
    if command.folder is not None:
        return _in_given_folder(cfg, RunFolder(Path(command.folder)), command, replaced)
    if cfg.resume is None:
        return None
    log_dir = typed_path(cfg.log_dir)
    if cfg.resume == "auto":
        folder = _newest_unfinished(cfg, log_dir, command, replaced)
        if folder is None:
            return None
        own = _own_config(folder, cfg.trust)
        for key in ("dry_run", "tags", "notes"):
            own[key] = cfg[key]
        keep_former_devices(own.get("trainer"))
        return Resumed(folder, folder.checkpoint(), own)
    refuse_resuming(cfg.resume)
    folder = RunFolder.find(cfg.resume, log_dir)
    named = str(cfg.resume).endswith(".ckpt")
    checkpoint = typed_path(cfg.resume).resolve() if named else folder.checkpoint()
    return Resumed(
        folder, checkpoint, _changed(_own_config(folder, cfg.trust), cfg, command, folder)
    )


def _in_given_folder(
    cfg: DictConfig, folder: RunFolder, command: Command, replaced: dict[str, str]
) -> Resumed | None:
    if cfg.resume is not None:
        raise ConfigError(
            f"resume={cfg.resume} and run_dir={folder.path}: give one of them. run_dir resumes the "
            "run in that folder, resume the run that it names"
        )
    try:
        checkpoint = folder.checkpoint()
    except RunError:  # stopped before its first checkpoint, or no run there
        return None
    own = _own_config(folder, cfg.trust)
    if differing := _differing(own, cfg, folder, command, replaced):
        raise ConfigError(
            f"{folder.path}: contains a run of another configuration, which differs in "
            f"{', '.join(differing)}. Use another run_dir=DIR, or change the run itself with "
            f"resume={folder.path} and the keys to change"
        )
    for key in ("dry_run", "tags", "notes", "tune"):
        own[key] = cfg[key]
    keep_former_devices(own.get("trainer"))
    return Resumed(folder, checkpoint, own)


def _differing(
    own: DictConfig,
    cfg: DictConfig,
    folder: RunFolder,
    command: Command,
    replaced: dict[str, str],
) -> list[str]:
    """Returns the keys whose values differ between a command and the run in a folder."""
    differing = different_keys(own, cfg)
    clocks = {key for key in differing if reads_clock(replaced.get(key, ""))}
    if not clocks:
        return differing
    typed, then = _by_key(command.typed), _by_key(overrides_of(folder.path))
    alike = {key for key in clocks if typed.get(key) == then.get(key)}
    return [key for key in differing if key not in alike]


def _by_key(overrides: list[str]) -> dict[str, str]:
    pairs = (override.partition("=") for override in overrides)
    return {key.lstrip("+"): value for key, _, value in pairs}


def _own_config(folder: RunFolder, trust: Sequence[str]) -> DictConfig:
    """Returns the run's own configuration, after checking that all its targets are trusted."""
    cfg = read_own(folder)
    cfg.run_dir = str(folder.path)
    if computes(cfg):
        settled(cfg, read_resolved(folder))
    confined(trusted(cfg, folder.composed, trust), folder.path)
    cfg.tune = {}  # set by a search for its trials; a stored value could name any database
    return cfg


def _newest_unfinished(
    cfg: DictConfig, log_dir: Path, command: Command, replaced: dict[str, str]
) -> RunFolder | None:
    near: tuple[RunFolder, list[str]] | None = None
    for folder in _unfinished(log_dir):
        try:
            differing = _differing(read_own(folder), cfg, folder, command, replaced)
        except (GanforgeError, OmegaConfBaseException) as error:
            # One damaged folder must not hide the others.
            reason = str(error).splitlines()[0].removeprefix(f"{folder.composed}: ")
            log.warning("resume=auto skips %s: %s", folder.composed, reason)
            continue
        if not differing:
            return folder
        if near is None or len(differing) < len(near[1]):
            near = folder, differing
    other = f" ({near[0].path} differs in {', '.join(near[1][:NAMED])})" if near else ""
    log.info(
        "resume=auto: no unfinished run of this configuration in %s%s; starting a new one",
        log_dir,
        other,
    )
    return None


def _unfinished(log_dir: Path) -> Iterator[RunFolder]:
    """Yields stopped runs that have a checkpoint to resume from, newest first."""
    folders = sorted((log_dir / "train").glob("*/[!.]*/composed.yaml"), reverse=True)
    for folder in (RunFolder(path.parent.resolve()) for path in folders):
        if folder.read_summary().get("status") == "completed" or is_locked(folder.path):
            continue
        if any((folder.checkpoints / f"{kind}.ckpt").is_file() for kind in ("last", "previous")):
            yield folder


def _changed(own: DictConfig, cfg: DictConfig, command: Command, folder: RunFolder) -> DictConfig:
    """Returns the run's own configuration with the overrides of this command line applied."""
    keep_former_devices(own.get("trainer"))
    exchange(own, cfg, command, folder)
    typed = {k: v for k, v in command.values.items() if k not in OF_A_COMMAND}
    before = copy.deepcopy(own)
    change(own, typed, folder.path)
    refuse_endless(before, own)
    return own


def start_of(
    resumed: Resumed, model: AdversarialModule, settings: TrainerSettings, ended: bool = False
) -> tuple[Path, dict[str, Any]]:
    """Returns the checkpoint to resume from, and its contents, after checking that it fits.

    If the last checkpoint is damaged, the run resumes from the previous one. So does a run that was
    stopped between its last step and its end: it repeats the last steps and the final evaluation.

    Args:
        resumed: the run.
        model: that the checkpoint must fit.
        settings: with the length of the run.
        ended: accept a run that has nothing left to do, as a dry run does.

    Raises:
        ConfigError: the checkpoint is of another configuration.
        RunError: the checkpoint is damaged or of another architecture, or nothing is left to do.
    """
    previous = resumed.folder.checkpoints / PREVIOUS
    assert_writable(previous.with_name(LAST))
    unfinished = resumed.folder.read_summary().get("status") != "completed"
    more = resumed.checkpoint.name == LAST and previous.is_file()
    faults: list[str] = []
    for path in [resumed.checkpoint, *([previous] if more else [])]:
        try:
            checkpoint = AtomicCheckpointIO().load_checkpoint(path)
            assert_fits(checkpoint, model, resumed.cfg, resumed.folder, path)
            assert_finite(model, checkpoint, path)
            assert_resumable(checkpoint, path)
            if not ended:
                assert_can_continue(checkpoint, settings, path)
        except RunError as error:
            faults.append(str(error))
            if more and (unfinished or isinstance(error, DamagedError)):
                more = False
                log.warning("%s\nresuming from %s", error, previous)
                continue
            raise RunError("\n".join(faults)) from error
        return path, checkpoint
    raise AssertionError("there is always a choice")


def assert_can_continue(checkpoint: dict[str, Any], settings: TrainerSettings, path: Path) -> None:
    """Raises RunError if the run has already reached max_steps or max_seconds."""
    step, seconds = checkpoint["progress"]["iteration"], checkpoint["progress"]["seconds"]
    if settings.max_steps != -1 and step >= settings.max_steps:
        raise RunError(
            f"{path}: the run is already at step {step}, and trainer.max_steps="
            f"{settings.max_steps}; to continue, set a larger value: "
            f"resume={_run_of(path)} trainer.max_steps={2 * step}"
        )
    if settings.max_seconds is not None and seconds >= settings.max_seconds:
        raise RunError(
            f"{path}: the run has already trained for {seconds:.0f} seconds, and "
            f"trainer.max_seconds={settings.max_seconds:g}; to continue, set a larger value: "
            f"resume={_run_of(path)} trainer.max_seconds={2 * math.ceil(seconds)}"
        )


def _run_of(checkpoint: Path) -> str:
    """Returns the run folder of a checkpoint, quoted for a shell."""
    return shlex.quote(one_line(checkpoint.parent.parent))
