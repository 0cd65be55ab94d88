"""Whether Weights & Biases can be used online: asked without a prompt, in a few seconds."""

from __future__ import annotations

import netrc
import os
import socket
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ganforge.errors import RunError

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

    ``wandb.init`` would try for longer than its own timeout. Any answer counts, an error page too;
    what is neither an answer nor a dead line (a certificate, say) is left for wandb to judge.
    """
    url = str(_settings().base_url)
    try:
        urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=timeout).close()
    except urllib.error.HTTPError:
        return ""
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
    if not has_credentials():
        raise RunError("not logged in to W&B: run `wandb login` or set WANDB_API_KEY")
    if problem := unreachable(timeout):
        raise RunError(f"W&B cannot be reached: {problem}")


def _settings() -> wandb.Settings:
    import wandb

    return wandb.setup().settings


def _in_netrc(url: str) -> bool:
    chosen = os.environ.get("NETRC")
    paths = [Path(chosen)] if chosen else [Path.home() / ".netrc", Path.home() / "_netrc"]
    for path in paths:
        try:
            known = netrc.netrc(path.expanduser())
        except (OSError, netrc.NetrcParseError):
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
