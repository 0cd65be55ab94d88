"""Overrides for verbs on an existing run, whose keys may differ from the default configuration."""

from __future__ import annotations

from ganforge.config.arguments import is_sweep

# Parts that can be removed from a resumed run, because they do not affect training.
_REMOVABLE = ("callbacks.", "logger.", "metrics.")
_ALLOW = "resume.allow"


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
