"""Restricts what a stored configuration may build: ganforge's classes, and what the user trusts.

A run folder may come from an untrusted source. Its configuration names Python objects by
``_target_``, and building one runs its code. Every stored configuration therefore passes
:func:`trusted` before any of its targets is imported. Command-line values are trusted as typed.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import pkgutil
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

import ganforge
from ganforge.errors import ConfigError, RunError
from ganforge.plain_text import one_line
from ganforge.runs.stored.trust_record import recorded, remember

log = logging.getLogger("ganforge")

VARIABLE = "GANFORGE_TRUST"
# Packages of ganforge that hold classes for configurations; a leading "." marks a single module.
PACKAGES = {
    "augment",
    "callbacks",
    "compute",
    "data",
    "loggers",
    "losses",
    "metrics",
    "models",
    "networks",
    "regularizers",
    "search",
    ".schedules",
}
OPTIMIZERS = {
    "ASGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "LBFGS",
    "Muon",
    "NAdam",
    "RAdam",
    "RMSprop",
    "Rprop",
    "SGD",
    "SparseAdam",
}
# Arguments of ganforge's classes that name an object to import, in addition to ``_target_``.
IMPORTED = {"ganforge.metrics.ModuleFactory": ("module",)}
# Packages through which any command could be run, as through the standard library: messages do
# not suggest trusting them as a whole.
GENERAL = {"ganforge", "torch", "torchvision", "lightning", "hydra", "omegaconf", "numpy", "scipy"}
GENERAL |= {"pandas", "sklearn", "joblib", "wandb", "PIL", "yaml", "torchmetrics", "setuptools"}
_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
_PLAIN_REFERENCE = re.compile(r"\$\{\.*[\w-]+(?:[.\[][\w-]+\]?)*\}")


def trusted(cfg: DictConfig, source: Path, trust: Any = ()) -> DictConfig:
    """Returns a stored configuration after checking that all its targets are trusted.

    Trusted are ganforge's classes for configurations, torch's optimizers, the recorded targets of
    runs that were typed on this machine, and what the user names.

    Args:
        cfg: the configuration as read.
        source: file that it was read from, for messages.
        trust: packages or dotted names that the user trusts, as in ``trust=[my_package]``; those
            in ``GANFORGE_TRUST`` are added.

    Raises:
        RunError: naming the first target that is not trusted, and the file. Nothing was imported.
        ConfigError: ``trust`` is not a list of names.
    """
    prefixes = trusted_names(trust)
    _refuse_resolvers(cfg, source)
    try:
        plain = OmegaConf.to_container(cfg, resolve=True)
    except OmegaConfBaseException as error:
        raise RunError(f"{one_line(source)}: {one_line(str(error).splitlines()[0])}") from error
    known = recorded()
    by_prefix = []
    for key, name in targets(plain):
        if key.endswith("_args_"):
            raise RunError(
                f"{one_line(source)}: {one_line(key)}: a stored configuration must name its "
                "arguments; _args_ is never built"
            )
        if not isinstance(name, str):
            raise RunError(f"{one_line(source)}: damaged: {one_line(key)} is {one_line(name)}")
        if is_own(name) or name in known or name in prefixes:
            continue
        if not _is_below(name.replace(":", "."), prefixes):
            raise RunError(_refusal(key, name, source))
        by_prefix.append(name)
    for name in by_prefix:  # all are in trusted packages, so importing them is allowed
        _refuse_foreigner(name, prefixes, source)
    return cfg


def is_own(name: Any) -> bool:
    """Whether a target is one of ganforge's classes for configurations, or a torch optimizer.

    A class must be exported by one of ganforge's packages or defined in the file of a module.
    Names that a module merely imports, as in ``ganforge.streams.os.system``, do not count.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        return False
    root, *inner = name.split(".")
    if root == "torch" and inner[:1] == ["optim"]:
        return 2 <= len(inner) <= 3 and inner[-1] in OPTIMIZERS
    if root != "ganforge" or len(inner) < 2 or inner[-1].startswith("_"):
        return False
    if len(inner) == 2 and inner[0] in PACKAGES:
        return inner[1] in importlib.import_module(f"ganforge.{inner[0]}").__all__
    if (inner[0] if len(inner) > 2 else f".{inner[0]}") not in PACKAGES:
        return False
    file = Path(ganforge.__file__).parent.joinpath(*inner[:-1]).with_suffix(".py")
    defined = re.compile(rf"^class {re.escape(inner[-1])}\b", re.MULTILINE)
    return file.is_file() and defined.search(file.read_text("utf-8")) is not None


def may_import(name: str) -> bool:
    """Whether a target read from a run folder may be imported without ``trust=``."""
    return is_own(name) or name in recorded() or _is_below(name, trusted_names(()))


def trusted_names(trust: Any) -> list[str]:
    """Returns the packages and names that ``trust=`` and GANFORGE_TRUST list.

    Raises:
        ConfigError: one is not a dotted name.
    """
    typed = OmegaConf.to_container(trust) if OmegaConf.is_config(trust) else trust
    listed = [typed] if isinstance(typed, str) else list(cast(Iterable[Any], typed or ()))
    names = [part.strip() for name in listed for part in str(name).split(",")]
    names += [part.strip() for part in os.environ.get(VARIABLE, "").split(",")]
    names = [name for name in names if name]
    for name in names:
        if not _NAME.fullmatch(name):
            raise ConfigError(
                f"trust={one_line(name)}: must be the dotted name of a package or of an object, "
                "such as trust=[my_package]"
            )
    return names


def targets(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yields key and value of everything that names an object to import, and of all ``_args_``."""
    if isinstance(node, list):
        for number, item in enumerate(node):
            yield from targets(item, f"{path}[{number}]")
    if not isinstance(node, dict):
        return
    target = node.get("_target_")
    imported = IMPORTED.get(target, ()) if isinstance(target, str) else ()
    for key, value in node.items():
        at = f"{path}.{key}" if path else str(key)
        if key in ("_target_", "_args_") or (key in imported and isinstance(value, str)):
            yield at, value
        yield from targets(value, at)


def remember_own(cfg: DictConfig) -> None:
    """Records the targets of a run typed on this machine, so that it can be resumed.

    They are recorded in the user's own file, since a run folder could be forged.
    """
    with contextlib.suppress(OmegaConfBaseException):  # reported when the run is built
        found = targets(OmegaConf.to_container(cfg, resolve=True))
        remember({name for _, name in found if isinstance(name, str) and not is_own(name)})


def without_resolvers(text: str) -> bool:
    """Whether a text interpolates only plain keys: no environment variables, no resolvers."""
    left = None
    while left != text:
        left, text = text, _PLAIN_REFERENCE.sub("0", text)
    return "${" not in text


def computes(cfg: DictConfig) -> bool:
    """Whether a configuration uses resolvers, and not only references between its keys."""
    texts = _strings(OmegaConf.to_container(cfg, resolve=False))
    return not all(without_resolvers(text) for _, text in texts)


def settled(cfg: DictConfig, resolved: DictConfig) -> DictConfig:
    """Replaces values that a configuration would recompute by those of the run's start, in place.

    ``seed: ${oc.env:TASK}`` keeps its value from the start of the run, whatever TASK is now.

    Args:
        cfg: the configuration with interpolations.
        resolved: the resolved configuration.
    """
    for key, value in list(_strings(OmegaConf.to_container(cfg, resolve=False))):
        if not without_resolvers(value) and "[" not in key:
            known = OmegaConf.select(resolved, key)
            if known is not None:
                OmegaConf.update(cfg, key, known)
    return cfg


def confined(cfg: DictConfig, folder: Path) -> DictConfig:
    """Makes the loggers of a stored configuration write into the run folder only, in place.

    Args:
        cfg: the run's configuration.
        folder: the run's folder.
    """
    for name, node in (cfg.get("logger") or {}).items():
        if not isinstance(node, DictConfig) or "folder" not in node:
            continue
        target = Path(str(node.folder)).resolve()
        if not target.is_relative_to(folder.resolve()):
            log.warning(
                "logger.%s.folder is outside of this run's folder, which is used instead; "
                "to change it, set logger.%s.folder=DIR",
                one_line(name),
                one_line(name),
            )
            node.folder = "${run_dir}"
    return cfg


def _is_below(name: str, prefixes: list[str]) -> bool:
    return any(f"{name}.".startswith(f"{prefix}.") for prefix in prefixes)


def _refuse_resolvers(cfg: DictConfig, source: Path) -> None:
    for key, value in _strings(OmegaConf.to_container(cfg, resolve=False)):
        if not without_resolvers(value):
            raise RunError(
                f"{one_line(source)}: {one_line(key)} is {one_line(value)}, which would be "
                "computed from this machine's environment. Replace it by a plain value in this file"
            )


def _strings(node: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yields every string and key in a plain container, each with its dotted key."""
    if isinstance(node, str):
        yield path, node
    elif isinstance(node, list):
        for number, item in enumerate(node):
            yield from _strings(item, f"{path}[{number}]")
    elif isinstance(node, dict):
        for key, value in node.items():
            name = f"{path}.{key}" if path else str(key)
            yield name, str(key)
            yield from _strings(value, name)


def _refusal(key: str, name: str, source: Path) -> str:
    shown = one_line(name)
    package = shown.partition(".")[0]
    whole = package not in {*sys.stdlib_module_names, *GENERAL}
    return (
        f"{one_line(source)}: {one_line(key)} names {shown}, which is not part of ganforge. It was "
        "not imported, because building it runs its code. If you trust the author of this file: "
        f"trust=[{package if whole else shown}], or the same in {VARIABLE} (see docs/security.md)"
    )


def _refuse_foreigner(name: str, prefixes: list[str], source: Path) -> None:
    """Rejects names that a trusted package merely imports from elsewhere: ``my_package.os.system``.

    Raises:
        RunError: the object was defined outside of the trusted packages.
    """
    try:
        found = pkgutil.resolve_name(name)
    except (ImportError, AttributeError, ValueError):
        return  # reported when the configuration is checked
    module = str(getattr(found, "__module__", "") or "")
    if not _is_below(module, prefixes):
        origin = f"{module}.{getattr(found, '__qualname__', name.rpartition('.')[2])}"
        raise RunError(
            f"{one_line(source)}: {name} is {one_line(origin)}, which is outside of the packages "
            f"that trust= names. If you trust it: trust=[{name}]"
        )
