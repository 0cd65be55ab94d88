"""Paths on the command line, which Hydra's grammar would take for more than they are."""

from __future__ import annotations

import re

from ganforge.conf_dir import conf_dir

PATHS = {"run", "resume", "log_dir", "input", "out"}
PATHS |= {"data.path", "data.path_a", "data.path_b", "data.root"}
LISTS = {"runs", "by", "status"}  # of verbs that do not sweep: a comma there is one of the value
_PLAIN = re.compile(r"[\w/.+$%*@?|:-]([\w/.+$%*@?|: -]*[\w/.+$%*@?|:-])?", re.ASCII)
_NUMBER = re.compile(r"[-+]?([\d_.]+(e[-+]?\d+)?|inf|nan)|true|false", re.IGNORECASE)


def quote_paths(arguments: list[str]) -> list[str]:
    """Quotes paths that Hydra would not read as they are: ``input=Fotos (2024)``, ``out=a=b``.

    Unquoted values may hold ASCII letters, digits and some signs alone, and 1e3 is a number. In a
    sweep a comma stands between values, so nothing is changed there; nor is what the user has
    quoted, escaped or interpolated.
    """
    if "-m" in arguments or "--multirun" in arguments:
        return arguments
    return [_quoted(argument) for argument in arguments]


def options_as_filter(arguments: list[str]) -> list[str]:
    """Turns ``model=dcgan`` into ``++where.model=dcgan``: Hydra would compose the option."""
    groups = {path.name for path in conf_dir().iterdir() if path.is_dir()}
    return [f"++where.{a}" if a.partition("=")[0] in groups else a for a in arguments]


def _quoted(argument: str) -> str:
    key, _, value = argument.partition("=")
    key_alone = key.lstrip("+")
    several = key_alone in LISTS or key_alone.startswith("where.")
    if not (key_alone in PATHS or several) or not value:
        return argument
    listed = several and value[0] == "["
    meant = listed or value[0] in "'\"" or "\\" in value or "${" in value
    if meant or (_PLAIN.fullmatch(value) and not _NUMBER.fullmatch(value)):
        return argument
    escaped = value.replace("'", "\\'")
    return f"{key}='{escaped}'"
