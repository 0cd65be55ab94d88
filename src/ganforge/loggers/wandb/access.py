"""Whether Weights & Biases can be used online: asked without a prompt, in a few seconds."""

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
from ganforge.time_limit import within

LONGEST_REASON = 300
BROKEN = (500, 502, 503, 504)

if TYPE_CHECKING:
    import wandb


def configured_mode() -> str:
    """Returns "online", "offline" or "disabled" by WANDB_MODE and ``wandb offline``."""
    mode = str(_settings().mode)
    return {"dryrun": "offline", "shared": "online"}.get(mode, mode)


def has_credentials() -> bool:
    """Tells whether there is a key: in the environment, wandb's settings or a netrc file."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    settings = _settings()
    return bool(settings.api_key) or _in_netrc(str(settings.base_url))


def unreachable(timeout: float) -> str:
    """Returns why no server answers, or "" where one does.

    ``wandb.init`` would try for longer than its own timeout. Any answer counts but a server's own
    fault. What is neither an answer nor a dead line (a certificate, say) is left for wandb to
    judge.
    """
    url = str(_settings().base_url)
    try:
        request = urllib.request.Request(url, method="HEAD")
        # The timeout of urlopen counts anew with each byte, and not while a name is resolved.
        within(timeout + 1, lambda: urllib.request.urlopen(request, timeout=timeout).close(), url)
    except urllib.error.HTTPError as error:
        # wandb would retry for minutes. 501: a server that knows no HEAD.
        return f"{url} answers with error {error.code}" if error.code in BROKEN else ""
    except http.client.HTTPException as error:
        return f"{url} is no web server ({type(error).__name__})"
    except (urllib.error.URLError, OSError) as error:
        reason = getattr(error, "reason", error)
        if isinstance(reason, (ConnectionError, TimeoutError, socket.gaierror)):
            return f"{url} does not answer ({reason})"
    except ValueError:
        return f"{url!r} is not an address of a server"
    return ""


def require_server(timeout: float) -> None:
    """Refuses what needs a server where there is none.

    Raises:
        RunError: no credentials, or no answer within ``timeout`` seconds.
    """
    try:
        known, problem = has_credentials(), unreachable(timeout)
    except Exception as error:  # settings that wandb refuses, no local process
        raise RunError(f"W&B cannot be used: {first_line(error)}") from error
    if not known:
        raise RunError("not logged in to W&B: run `wandb login` or set WANDB_API_KEY")
    if problem:
        raise RunError(f"W&B cannot be reached: {problem}")


def first_line(error: Exception) -> str:
    """Returns what an error says, in one line of a length that can be read."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    if isinstance(error, ValueError) and len(lines) > 1:  # pydantic counts faults in the first
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
        except (OSError, RuntimeError, ValueError, netrc.NetrcParseError):  # also: no home
            continue
        if any((found := known.authenticators(host)) and found[2] for host in _hosts(url)):
            return True
    return False


def _hosts(url: str) -> list[str]:
    """Returns the names under which a netrc file may hold the key of ``url``.

    The address of the public server has changed; keys for its older name are still good.
    """
    import wandb

    public = url == wandb.Settings.model_fields["base_url"].default
    return [urlsplit(url).netloc, *(["api.wandb.ai"] if public else [])]
