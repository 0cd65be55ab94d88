from __future__ import annotations

from collections.abc import Iterable

from ganforge.errors import ConfigError


def at_least(name: str, value: int, least: int) -> None:
    """Refuses a setting of an evaluation that is too small."""
    if value < least:
        raise ConfigError(f"evaluation: {name} must be at least {least}, got {value}")


def one_of(name: str, value: str, legal: Iterable[str]) -> None:
    """Refuses a setting of an evaluation that is none of those there are."""
    if value not in (legal := list(legal)):
        raise ConfigError(
            f"evaluation: {name} must be one of {', '.join(legal) or '(no metrics)'}, got {value!r}"
        )
