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


def check_generates(model: object, does: str) -> None:
    """Raises ConfigError for image-to-image models; ``does`` is what the callback does."""
    if "inputs" in getattr(model, "needs", ()):
        raise ConfigError(
            f"callbacks=default {does} images generated from noise, but this model translates "
            "images: use callbacks=translation, as model=pix2pix and model=cyclegan do"
        )


def check_translates(model: object, data: object, does: str) -> None:
    """Raises ConfigError without two domains; ``does`` is what the callback does."""
    if not getattr(model, "directions", ()) or "inputs" not in getattr(data, "gives", ()):
        raise ConfigError(
            f"callbacks=translation {does} translations between two domains, but this model or its "
            "data have none: use callbacks=default, or model=pix2pix or model=cyclegan on paired "
            "or unpaired data"
        )
