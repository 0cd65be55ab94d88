"""What a sweep that goes on without its overrides typed may take from its record."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from ganforge.errors import RunError
from ganforge.experiments.trust import trusted, without_resolvers
from ganforge.plain_text import one_line

# Hydra's own keys run code and set variables; loggers write into the folder that they are given.
_REFUSED = re.compile(r"[~+]*(hydra\b|logger\.[^=]*\bfolder\b)")

Vet = Callable[[DictConfig], object]


def vetting(overrides: list[str], source: Path, trust: Any) -> Vet:
    """Returns what checks the configuration of a job that stored overrides make.

    Args:
        overrides: of the sweep's record.
        source: the record, for messages.
        trust: packages that the user trusts.

    Raises:
        RunError: an override is none that a record may hold.
    """
    for override in overrides:
        if _REFUSED.match(override) or not without_resolvers(override):
            raise RunError(
                f"{one_line(source)}: holds the override {one_line(override)}, which is taken from "
                "the command line alone. Type the sweep's overrides to resume it"
            )
    return lambda cfg: trusted(cfg, source, trust)
