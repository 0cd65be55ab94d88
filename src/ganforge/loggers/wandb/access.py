"""Checks within seconds, and without a prompt, whether Weights & Biases can be used online."""

from __future__ import annotations

import http.client
import netrc
import os
import socket
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ganforge.errors import RunError
from ganforge.loggers.wandb import service as wandb_service
from ganforge.plain_text import one_line
from ganforge.processes import within

LONGEST_REASON = 300
BROKEN = (500, 502, 503, 504)

if TYPE_CHECKING:
    import wandb


def configured_mode() -> str:
    """Returns "online", "offline" or "disabled", as set by WANDB_MODE or ``wandb offline``."""
    mode = str(_settings().mode)
    return {"dryrun": "offline", "shared": "online"}.get(mode, mode)


def has_credentials() -> bool:
    """Returns whether there is a key in the environment, wandb's settings or a netrc file."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    settings = _settings()
    return bool(settings.api_key) or _in_netrc(str(settings.base_url))


def unreachable(timeout: float) -> str:
    """Returns why the server does not answer, or "" if it does.

    Checked here because ``wandb.init`` retries for longer than its own timeout. Any response counts
    as an answer, except server errors (500, 502, 503, 504). Other problems, such as an invalid
    certificate, are left to wandb.
    """
    url = str(_settings().base_url)
    try:
        request = urllib.request.Request(url, method="HEAD")
        # urlopen restarts its timeout with each byte, and does not limit name resolution.
        within(timeout + 1, lambda: urllib.request.urlopen(request, timeout=timeout).close(), url)
    except urllib.error.HTTPError as error:
        # wandb would retry these for minutes. 501 is fine: the server does not support HEAD.
        return f"{url} answers with error {error.code}" if error.code in BROKEN else ""
    except http.client.HTTPException as error:
        return f"{url} is not a web server ({type(error).__name__})"
    except (urllib.error.URLError, OSError) as error:
        reason = getattr(error, "reason", error)
        if isinstance(reason, (ConnectionError, TimeoutError, socket.gaierror)):
            return f"{url} does not answer ({reason})"
    except ValueError:
        return f"{url!r} is not the address of a server"
    return ""


def require_server(timeout: float) -> None:
    """Raises RunError if the W&B server cannot be used.

    Raises:
        RunError: if there are no credentials, or no answer within ``timeout`` seconds.
    """
    try:
        known, problem = has_credentials(), unreachable(timeout)
    except Exception as error:  # invalid settings, no service process
        raise RunError(f"W&B cannot be used: {first_line(error)}") from error
    if not known:
        raise RunError("not logged in to W&B: run `wandb login` or set WANDB_API_KEY")
    if problem:
        raise RunError(f"W&B cannot be reached: {problem}")


def first_line(error: Exception) -> str:
    """Returns the first line of an error message, with at most LONGEST_REASON characters."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    if isinstance(error, ValueError) and len(lines) > 1:  # pydantic: line 1 is a count
        lines = [", ".join(line.strip() for line in lines[1:3])]
    line = one_line(lines[0].strip()) if lines else type(error).__name__
    return line if len(line) <= LONGEST_REASON else line[: LONGEST_REASON - 3] + "..."


def _settings() -> wandb.Settings:
    def read() -> wandb.Settings:
        import wandb

        return wandb.setup().settings

    return wandb_service.bounded(read, wandb_service.start_seconds(), "wandb.setup")


def _in_netrc(url: str) -> bool:
    chosen = os.environ.get("NETRC")
    for name in [chosen] if chosen else ["~/.netrc", "~/_netrc"]:
        try:
            known = netrc.netrc(Path(name).expanduser())
        except (OSError, RuntimeError, ValueError, netrc.NetrcParseError):  # RuntimeError: no home
            continue
        if any((login := known.authenticators(host)) and login[2] for host in _hosts(url)):
            return True
    return False


def _hosts(url: str) -> list[str]:
    """Returns the host names under which a netrc file may store the key of ``url``.

    For the public server this includes its former host name, whose keys are still valid.
    """
    import wandb

    public = url == wandb.Settings.model_fields["base_url"].default
    return [urlsplit(url).netloc, *(["api.wandb.ai"] if public else [])]
