"""Removal of secrets from text that is stored, uploaded or shown."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

HIDDEN = "***"

# User and password in a URL such as postgresql://user:password@host/name. A password may contain /,
# @, : and quotes. Text that starts like a port (digits, then /) does not count as a password.
CREDENTIALS = re.compile(r'(\w://)(?:[^/\s":@]*:(?!\d+/)[^\s"]*|[^/\s"]*)@')
# The same without a scheme: user names whose password is a token.
_TOKEN_USERS = re.compile(r"\b(?:oauth2|x-access-token|x-token-auth|gitlab-ci-token):[^\s@\"']+@")

_NAME = (
    r"(?:api[_-]?key|apikey|passw(?:or)?d|passphrase|(?<![a-z])pass(?![a-z])|secret(?![a-z])|"
    r"secret[_-]?(?:access[_-]?)?key|token(?![a-z])|private[_-]?key|access[_-]?key|account[_-]?key|"
    r"credentials?|authorization)"
)
_KEY = re.compile(rf"{_NAME}(?:[_-]?(?:id|value|file))?$", re.IGNORECASE)
# name=value, name: value, "name": "value", --name value, and HTTP headers.
_NAMED = re.compile(
    rf"(?P<name>{_NAME}[\w-]*[\"']?(?:\s*(?:=|:(?!//))\s*|\s+(?=[\"']))|--[\w-]*{_NAME}[\w-]*\s+)"
    r"(?P<scheme>(?:bearer|basic|token)\s+)?"
    r"(?P<value>\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|[^\s&;,\"'(){}\[\]]+)",
    re.IGNORECASE,
)
# Short names that are often something else: a folder, a part of another name.
_SHORT = re.compile(
    r"((?<![a-z_.-])pw\s*[=:]\s*|(?<![a-z])pwd\s*[=:]\s*(?!/))([^\s&;,\"'(){}\[\]/]+)",
    re.IGNORECASE,
)
_CURL_USER = re.compile(r"(\bcurl\b[^\n]*?\s(?:-u|--user)[\s=]+[^\s:\"']+:)[^\s\"'&;,(){}\[\]]+")
_BEARER = re.compile(r"\b(bearer|basic)\s+[\w.~+/=-]{12,}", re.IGNORECASE)
_QUERY = re.compile(r"([?&](?:sig|signature|key|auth|x-amz-[\w-]+)=)[^\s&\"'#]+", re.IGNORECASE)
_ENVIRONMENT = re.compile(
    r"(env_set(?:\.\w+\s*[=:]|\s*=)\s*)(\"[^\"]*\"|'[^']*'|\{[^}]*\}|[^\s]+)", re.IGNORECASE
)
# Tokens that can be recognized by the prefix that their service gives them.
_SHAPES = re.compile(
    r"gh[opusr]_[A-Za-z0-9]{16,}|github_pat_\w{16,}|glpat-[\w-]{10,}|hf_[A-Za-z0-9]{16,}|"
    r"sk-[\w-]{16,}|xox[abeoprs]-[\w-]{10,}|(?:AKIA|ASIA)[0-9A-Z]{16}|AIza[\w-]{30,}|"
    r"ya29\.[\w-]{10,}|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*|npm_[A-Za-z0-9]{30,}|pypi-[\w-]{16,}|"
    r"wandb_v\d_\w{16,}|local-[0-9a-f]{40}|dapi[0-9a-f]{32}|"
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)",
    re.DOTALL,
)
_QUOTED = re.compile(
    rf"({_NAME}[\w-]*[\"']?\s*[=:]\s*)(\"[^\"]{{6,}}\"|'[^']{{6,}}')", re.IGNORECASE
)
_ARGUMENT = re.compile(r"([~+]*[\w.@/-]+)=(.*)", re.DOTALL)


def redacted(value: Any) -> Any:
    """Returns plain containers, or a string, with secrets replaced or removed.

    Use it for everything that is stored in a run, uploaded or put into a report. Secrets are
    passwords in URLs, values with a telling name (``api_key``, ``token``), the environment
    variables that Hydra sets for a job, and strings with the form of a known service's token.
    """
    if isinstance(value, dict):
        return {key: _of_key(str(key), item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [redacted(item) for item in value]
    return _redacted_text(value) if isinstance(value, str) else value


def redacted_line(arguments: Sequence[str]) -> str:
    """Returns a command line without secrets, quoted so that a shell can read it.

    A secret of several words is hidden as a whole.
    """
    return shlex.join(redacted(list(arguments)))


def training_line(arguments: Sequence[str]) -> str:
    """Returns the command line of a training in a form that can be typed again, without secrets.

    Args:
        arguments: ``sys.argv`` without the verb.
    """
    program = PurePath(arguments[0])
    start = [arguments[0]]  # the user's own program
    if program.name == "train.py":
        start = ["python", "train.py"]
    elif program.stem == "ganforge" or program.parts[-2:] == ("ganforge", "__main__.py"):
        start = ["ganforge", "train"]
    return redacted_line([*start, *arguments[1:]])


def redacted_code(text: str) -> str:
    """Returns source code without secrets. Apart from known tokens, only string literals count.

    ``token = next(tokens)`` is kept.
    """
    return _QUOTED.sub(rf"\1{HIDDEN}", _without_shapes(text))


def _of_key(key: str, item: Any) -> Any:
    if isinstance(item, dict) and key.lower() == "env_set":
        return dict.fromkeys(item, HIDDEN)
    if isinstance(item, str) and item and _KEY.search(key):
        return HIDDEN
    return redacted(item)


def _redacted_text(text: str) -> str:
    argument = _ARGUMENT.fullmatch(text)
    if argument is not None and argument[2]:
        parent, _, name = argument[1].rpartition(".")
        if _KEY.search(name) or parent.endswith("env_set") or name.endswith("env_set"):
            return f"{argument[1]}={HIDDEN}"
    text = _ENVIRONMENT.sub(rf"\1{HIDDEN}", _without_shapes(text))
    text = _NAMED.sub(_hidden_value, _QUERY.sub(rf"\1{HIDDEN}", text))
    text = _CURL_USER.sub(rf"\1{HIDDEN}", _SHORT.sub(rf"\1{HIDDEN}", text))
    return _BEARER.sub(rf"\1 {HIDDEN}", text)


def _hidden_value(match: re.Match[str]) -> str:
    """Returns the match with its value hidden. Quotes are kept, so that JSON stays valid."""
    quote = match["value"][0] if match["value"][0] in "\"'" else ""
    return f"{match['name']}{match['scheme'] or ''}{quote}{HIDDEN}{quote}"


def _without_shapes(text: str) -> str:
    return _SHAPES.sub(HIDDEN, _TOKEN_USERS.sub("", CREDENTIALS.sub(r"\1", text)))
