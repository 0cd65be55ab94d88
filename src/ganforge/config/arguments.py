"""Preprocessing of the command line for Hydra: flags, Hydra's own keys, and keys of a run."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ganforge.errors import ConfigError
from ganforge.paths import typed_path

# Hydra flags whose value is the next word, which may contain an equals sign.
_WITH_FOLDER = {"--config-dir": "--config-dir", "-cd": "--config-dir"}
_WITH_WORD = {"--config-name", "-cn", "--config-path", "-cp", "--package", "-p"}
# Parts that can be removed from a resumed run, because they do not affect training.
_REMOVABLE = ("callbacks.", "logger.", "metrics.")
_ALLOW = "resume.allow"
_SINGLE = ("model", "data")  # groups with exactly one option; the run's default name uses them


def is_sweep(arguments: list[str]) -> bool:
    """Whether a command line starts several jobs: with -m, or a search (tune=) without it."""
    tuned = any(a.startswith("tune=") and a != "tune=null" for a in arguments)
    flagged = any(a == "-m" or re.fullmatch(r"--mu(l(t(i(r(un?)?)?)?)?)?", a) for a in arguments)
    return tuned or flagged or _value_of("hydra.mode", arguments).upper() == "MULTIRUN"


def prepared(verb: str, arguments: list[str]) -> list[str]:
    """Returns the arguments in the form that the verb's configuration expects.

    Raises:
        ConfigError: one of Hydra's own keys is used in a way that ganforge does not support.
    """
    arguments = list(_joined_flags(arguments))
    _check_hydra_keys(verb, arguments)
    if verb == "train":
        arguments = [_run_dir(a) for a in arguments]
        arguments = [_without_brackets(a) for a in arguments]
    return arguments


def on_run(arguments: list[str], verb: str) -> list[str]:
    """Returns the arguments rewritten so that Hydra accepts keys of the run.

    Hydra composes the default configuration and refuses keys that it lacks. Whether a key is legal
    is checked later, against the run's own configuration. ``resume=RUN regularizer.r1.weight=5``
    becomes ``++regularizer.r1.weight=5``, and ``~callbacks.samples`` becomes
    ``++callbacks.samples=null``. ``resume.allow=[data]`` becomes ``resume_allow=[data]``, because
    ``resume`` itself is a plain value.

    Args:
        arguments: overrides and flags as typed.
        verb: the verb that they belong to.
    """
    if verb == "train":
        arguments = [_allowance(argument) for argument in arguments]
        return [_own(argument) for argument in arguments] if _resumes(arguments) else arguments
    if verb == "evaluate" and not any(a.startswith(("fake=", "real=")) for a in arguments):
        return [f"++{a}" if a.startswith("data.") else a for a in arguments]
    return arguments


def flags_first(arguments: list[str]) -> list[str]:
    """Returns flags first, then overrides: argparse rejects overrides on both sides of a flag."""
    overrides = [a for a in arguments if a.startswith("~") or ("=" in a and not a.startswith("-"))]
    return [a for a in arguments if a not in overrides] + overrides


def _joined_flags(arguments: list[str]) -> Iterator[str]:
    """Yields ``--config-dir=DIR`` for ``-cd DIR``, with ``~`` expanded; other words unchanged."""
    words = iter(arguments)
    for word in words:
        flag, equals, value = word.partition("=")
        if flag in _WITH_FOLDER:
            value = value if equals else next(words, "")
            yield f"{_WITH_FOLDER[flag]}={typed_path(value)}"
        elif word in _WITH_WORD and word.startswith("--"):
            yield f"{word}={next(words, '')}"
        else:
            yield word


def _check_hydra_keys(verb: str, arguments: list[str]) -> None:
    """Refuses Hydra keys that would create folders and files outside the run folder's layout."""
    if _value_of("hydra.run.dir", arguments) not in ("", "."):
        if is_sweep(arguments):
            raise ConfigError(
                "hydra.run.dir names the folder of a single run; hydra.sweep.dir=DIR names that of "
                "a sweep"
            )
        if verb != "train":
            raise ConfigError(
                f"hydra.run.dir: `ganforge {verb}` trains no run. See `ganforge {verb} --help` for "
                "its keys, such as out=PATH"
            )
        if _value_of("run_dir", arguments):
            raise ConfigError("run_dir and hydra.run.dir mean the same; set only one")
    if _value_of("hydra.job.chdir", arguments).lower() in ("true", "yes", "on", "1"):
        raise ConfigError(
            "hydra.job.chdir=true: relative paths of data and logs would no longer be found. Run "
            "folders are named by run_dir=DIR, and your own components can read ${run_dir}"
        )
    if _value_of("hydra.output_subdir", arguments).lower() not in ("", "null", "none"):
        raise ConfigError(
            "hydra.output_subdir: a run folder always contains its configuration (config.yaml, "
            "composed.yaml) and its overrides (provenance.json); remove this override"
        )


def _run_dir(argument: str) -> str:
    """Returns ``run_dir=DIR`` for ``hydra.run.dir=DIR``."""
    key, equals, value = argument.partition("=")
    if key.lstrip("+") != "hydra.run.dir" or not equals or value in ("", "."):
        return argument
    return f"run_dir={value}"


def _without_brackets(argument: str) -> str:
    """Returns ``data=fake`` for ``data=[fake]``, which could not be part of a run's name."""
    key, _, value = argument.partition("=")
    match = re.fullmatch(r"\[(.*)\]", value)
    if key not in _SINGLE or match is None:
        return argument
    if not match[1].strip() or "," in match[1]:
        raise ConfigError(f"{argument}: takes one option, such as {key}=NAME")
    return f"{key}={match[1].strip()}"


def _value_of(key: str, arguments: list[str]) -> str:
    """Returns the last value typed for a key, without quotes; "" if the key was not typed."""
    pairs = [argument.partition("=") for argument in arguments if not argument.startswith("-")]
    typed = [value for name, _, value in pairs if name.lstrip("+") == key]
    return typed[-1].strip("'\"") if typed else ""


def _allowance(argument: str) -> str:
    key, equals, value = argument.partition("=")
    if key.lstrip("+") != _ALLOW:
        return argument
    listed = value if value.startswith("[") or not value else f"[{value}]"
    return f"resume_allow{equals}{listed}"


def _resumes(arguments: list[str]) -> bool:
    """Whether a single run is resumed by name or as latest; false for sweeps and resume=auto."""
    if is_sweep(arguments):
        return False
    named = [a.partition("=")[2] for a in arguments if a.startswith("resume=")]
    return bool(named) and named[-1].strip("'\"") not in ("", "null", "auto")


def _own(argument: str) -> str:
    key, equals, _ = argument.partition("=")
    if argument.startswith(tuple(f"~{root}" for root in _REMOVABLE)):
        return f"++{key[1:]}=null"
    dotted = "." in key and key.replace(".", "_").isidentifier() and not key.startswith("hydra.")
    return f"++{argument}" if equals and dotted else argument
