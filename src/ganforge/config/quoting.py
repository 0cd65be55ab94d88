"""Quoting of command-line values that Hydra's grammar would misread."""

from __future__ import annotations

import re

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from ganforge.paths import conf_dir, is_there

PATHS = {"run", "resume", "run_dir", "log_dir", "input", "out", "fake", "real", "checkpoint"}
PATHS |= {"data.path", "data.path_a", "data.path_b", "data.root", "features.weights"}
PATHS |= {"features.cache", "hydra.run.dir", "hydra.sweep.dir", "tune.storage"}
LISTS = {"runs", "sweep", "by", "status"}  # a comma is part of the value, even without brackets
NAMES = {"name", "notes"}  # always text, even null and 1e3
TEXTS = NAMES | {"class", "data.name", "tune.study", "entity", "project", "workspace", "report"}
TEXTS |= {f"logger.wandb.{key}" for key in ("project", "entity", "group", "name", "notes")}
TEXT_LISTS = {"tags", "logger.wandb.tags"}
PROSE = {"notes", "logger.wandb.notes"}  # commas never separate the values of a sweep
PROSE |= {"log_dir", "hydra.run.dir", "hydra.sweep.dir", "tune.storage"}  # one value per sweep

_OPENING, _CLOSING = "([{", ")]}"
_PARSER = OverridesParser.create()


def quote_values(arguments: list[str], sweeping: bool = False) -> list[str]:
    """Quotes values that Hydra would not read as typed: ``input=Fotos (2024)``, ``notes=Größe: 3``.

    Without quotes, Hydra's grammar only accepts ASCII letters, digits and some signs, and reads 1e3
    as a number. Values that the user has quoted, escaped or interpolated are not changed.

    Args:
        arguments: flags and overrides.
        sweeping: whether commas outside of quotes and brackets separate the values of a sweep. A
            path that exists exactly as typed is one value.
    """
    return [_quoted(argument, sweeping) for argument in arguments]


def quoted(text: object) -> str:
    """Returns ``text`` quoted and escaped so that Hydra parses it back to exactly ``text``."""
    escaped = re.sub(r"(\\*)('|\Z)", _escaped, str(text))
    return f"'{escaped}'"


def options_as_filter(arguments: list[str]) -> list[str]:
    """Turns ``model=dcgan`` into ``++where.model=dcgan``; else Hydra would compose the option."""
    groups = {path.name for path in conf_dir().iterdir() if path.is_dir()}
    return [f"++where.{a}" if a.partition("=")[0] in groups else a for a in arguments]


def split_values(text: str) -> list[str]:
    """Splits a text at commas that are not escaped, quoted or inside balanced brackets."""
    parts = _split(text, brackets=True)
    return parts if parts is not None else _split(text, brackets=False) or []


def _quoted(argument: str, sweeping: bool) -> str:
    key, equals, value = argument.partition("=")
    if not equals or not value or argument[0] in "-~":
        return argument
    name = key.lstrip("+")
    if name in TEXT_LISTS:
        return f"{key}={_text_list(value)}"
    one_value = not sweeping or name in PROSE
    if one_value or ("," in value and name in PATHS | LISTS and is_there(value)):
        return f"{key}={_value(name, value)}"
    # choice(...) is unwrapped: inside it, Hydra drops the quotes that its jobs' overrides need.
    call = re.fullmatch(r"\s*choice\((.*)\)\s*", value, re.DOTALL)
    parts = split_values(call[1] if call else value)
    legal = [_swept(name, part) for part in parts]
    return argument if legal == parts else f"{key}={','.join(legal)}"


def _swept(name: str, part: str) -> str:
    parsed = _parsed(part)
    if parsed is not None and parsed.is_sweep_override():  # range(1,4), glob(*)
        return part
    return _value(name, _bare(part)) or "''"


def _bare(text: str) -> str:
    r"""Returns text without spaces around it, and with ``,`` for ``\,`` if it must be quoted."""
    text = re.sub(r"^\s+|(?<!\\)\s+$", "", text)
    return text if _parsed(text) is not None else text.replace("\\,", ",")


def _value(name: str, value: str) -> str:
    several = name in LISTS or name.startswith("where.")
    if name in PATHS and value == "None":  # Python's and W&B's spelling of null
        return "null"
    if not value or not (several or name in PATHS | TEXTS):
        return value if _parsed(value) is not None else _forced(value)
    if several and value[0] == "[":
        return value if _parsed(value) is not None else _forced(value)
    parsed = _parsed(value)
    plain = None if parsed is None or parsed.is_sweep_override() else parsed.value()
    if plain is None and value.lower() == "null" and name not in NAMES:
        return value
    as_typed = isinstance(plain, str) and str(plain) == value
    marked = value[0] in "'\"" or "\\" in value or "${" in value
    return value if as_typed or (marked and isinstance(plain, str)) else quoted(value)


def _forced(value: str) -> str:
    """Quotes a value that Hydra cannot parse; for a list, only the items if that is enough."""
    if value[:1] == "[" and value[-1:] == "]":
        items = ",".join(_value("", _bare(item)) for item in split_values(value[1:-1]))
        if _parsed(f"[{items}]") is not None:
            return f"[{items}]"
    return quoted(value)


def _text_list(value: str) -> str:
    """Returns a list of texts from ``[a,b]`` or ``a,b``; ``[a],[b]`` stays a sweep over lists."""
    parts = [part.strip() for part in split_values(value)]
    if value.strip().lower() == "null" or ("${" in value and _parsed(value) is not None):
        return value
    if all(part[:1] == "[" and part[-1:] == "]" for part in parts):
        return ",".join(f"[{_texts(part[1:-1])}]" for part in parts)
    return f"[{_texts(value)}]"


def _texts(items: str) -> str:
    texts = [_bare(item) for item in split_values(items)] if items.strip() else []
    return ",".join(_item(text) for text in texts)


def _item(text: str) -> str:
    """Returns an item of a list; a trailing backslash is quoted, as it would escape the comma."""
    typed = _value("name", text)
    return quoted(text) if not text or (typed == text and text.endswith("\\")) else typed


def _parsed(value: str) -> Override | None:
    try:
        return _PARSER.parse_override(f"key={value}")
    except (HydraException, ValueError, RecursionError):
        return None


def _escaped(match: re.Match[str]) -> str:
    slashes, quote = match.groups()
    return slashes * 2 + ("\\'" if quote else "")


def _split(text: str, brackets: bool) -> list[str] | None:
    """Splits a text at unprotected commas; None if a bracket is not closed."""
    parts, opened, start, at = [], list[str](), 0, 0
    while at < len(text):
        sign = text[at]
        if sign in "'\"" and text[:at].rstrip()[-1:] in ("", ",", ":", *_OPENING):
            at = _after_quote(text, at)
        elif sign == "\\":
            at += 1  # the next character is escaped
        elif brackets and sign in _OPENING:
            opened.append(_CLOSING[_OPENING.index(sign)])
        elif opened and sign == opened[-1]:
            opened.pop()
        elif sign == "," and not opened:
            parts.append(text[start:at])
            start = at + 1
        at += 1
    return None if opened else [*parts, text[start:]]


def _after_quote(text: str, at: int) -> int:
    """Returns the index of the quote that closes the one at ``at``; ``at`` for an apostrophe."""
    closed = re.compile(rf"{text[at]}(?:\\.|[^\\])*?{text[at]}(?=\s*(?:[,)\]}}]|\Z))", re.DOTALL)
    match = closed.match(text, at)
    return match.end() - 1 if match else at
