from __future__ import annotations

import logging
import socket
from dataclasses import dataclass
from pathlib import Path

import torch

from ganforge.errors import ConfigError

log = logging.getLogger("ganforge")

CONNECT_SECONDS = 20.0


@dataclass(frozen=True)
class PublishedWeights:
    """Weights of a network that are downloaded into PyTorch's hub cache.

    Attributes:
        what: names the weights in messages.
        url: address; its file name ends with the first digits of the file's SHA-256.
        alternative: what to do without the download, for messages.
    """

    what: str
    url: str
    alternative: str

    @property
    def path(self) -> Path:
        """The file in PyTorch's hub cache, which need not exist."""
        return Path(torch.hub.get_dir()) / "checkpoints" / self.url.rpartition("/")[2]

    def fetch(self) -> Path:
        """Returns the file; downloads it if it is not in the cache.

        Raises:
            ConfigError: The download failed.
        """
        path = self.path
        if path.is_file():
            return path
        # Without a timeout, a firewall that drops packets would block a run's start for minutes.
        before = socket.getdefaulttimeout()
        socket.setdefaulttimeout(CONNECT_SECONDS)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            log.info("downloading %s to %s", self.what, path)
            digest = path.stem.rpartition("-")[2]
            torch.hub.download_url_to_file(self.url, str(path), digest, progress=False)
        except (OSError, RuntimeError) as fault:
            raise self.missing(f"the download failed ({fault})") from fault
        finally:
            socket.setdefaulttimeout(before)
        return path

    def missing(self, reason: str) -> ConfigError:
        """Returns the error for weights that are not available."""
        return ConfigError(
            f"{self.what} are missing: {reason}. Download {self.url} to {self.path}, or "
            f"{self.alternative}"
        )
