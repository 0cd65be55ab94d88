"""Restrictions on stored overrides when a sweep is resumed without typing its overrides."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from ganforge.errors import ConfigError, RunError
from ganforge.paths import typed_path
from ganforge.plain_text import one_line
from ganforge.runs.stored.trust import trusted, without_resolvers

# Hydra's own keys can run code and set environment variables; loggers write to their folder.
_REFUSED = re.compile(r"[~+]*(hydra\b|logger\.[^=]*\bfolder\b)")
# Permissions are taken from the command line only: otherwise a record could grant them to itself.
_PERMISSIONS = ("trust", "resume_allow")

Vet = Callable[[DictConfig], object]


def key_of(override: str) -> str:
    """Returns the key of an override: ``log_dir`` of ``++log_dir=DIR``."""
    return re.split(r"[=@]", override.lstrip("~+"), maxsplit=1)[0]


def is_permission(override: str) -> bool:
    """Whether an override sets a permission (``trust`` or ``resume_allow``)."""
    return key_of(override) in _PERMISSIONS


def keeps_outputs_in_place(override: str, sweep: Path) -> bool:
    """Whether a stored override keeps outputs in place: a ``log_dir`` must contain the sweep.

    An untrusted record could name any folder of this machine.
    """
    if key_of(override) != "log_dir":
        return True
    try:
        value = OverridesParser.create().parse_override(override).value()
        return typed_path(str(value)).resolve() in sweep.resolve().parents
    except (HydraException, ConfigError, OSError):
        return False


def without_permissions(overrides: list[str], parser: OverridesParser, source: Path) -> list[str]:
    """Returns the overrides of a record without those that set permissions.

    Raises:
        RunError: if the overrides cannot be parsed.
    """
    try:
        parsed = parser.parse_overrides(overrides)
    except HydraException as error:
        reason = one_line(str(error).splitlines()[0])
        raise RunError(f"{one_line(source)}: contains invalid overrides ({reason})") from error
    return [str(o.input_line) for o in parsed if o.key_or_group not in _PERMISSIONS]


def vetting(overrides: list[str], source: Path, trust: Any) -> Vet:
    """Returns a function that checks a job configuration composed from stored overrides.

    Args:
        overrides: overrides of the sweep's record.
        source: path of the record, for messages.
        trust: packages that the user trusts.

    Raises:
        RunError: if a record may not contain one of the overrides.
    """
    for override in overrides:
        if _REFUSED.match(override) or not without_resolvers(override):
            raise _refusal(source, f"the override {one_line(override)}")

    def vet(cfg: DictConfig) -> None:
        for key in _foreign_folders(cfg):
            raise _refusal(source, f"a value of {one_line(key)}")
        trusted(cfg, source, trust)

    return vet


def _foreign_folders(cfg: DictConfig) -> list[str]:
    """Returns the keys of logger folders other than the run's own folder."""
    nodes: Any = OmegaConf.to_container(cfg.get("logger") or OmegaConf.create(), resolve=False)
    folders = {name: node["folder"] for name, node in nodes.items() if "folder" in (node or {})}
    return [f"logger.{name}.folder" for name, folder in folders.items() if folder != "${run_dir}"]


def _refusal(source: Path, what: str) -> RunError:
    return RunError(
        f"{one_line(source)}: contains {what}, which is only accepted on the command line. To "
        "resume, type the overrides of the sweep"
    )
