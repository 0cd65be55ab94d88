from __future__ import annotations

from collections.abc import Iterable

from ganforge.errors import ConfigError


def at_least(name: str, value: int, least: int) -> None:
    """Raises ConfigError if an evaluation setting is below ``least``."""
    if value < least:
        raise ConfigError(f"evaluation: {name} must be at least {least}, got {value}")


def one_of(name: str, value: str, legal: Iterable[str]) -> None:
    """Raises ConfigError if an evaluation setting is not one of ``legal``."""
    if value not in (legal := list(legal)):
        raise ConfigError(
            f"evaluation: {name} must be one of {', '.join(legal) or '(no metrics)'}, got {value!r}"
        )
