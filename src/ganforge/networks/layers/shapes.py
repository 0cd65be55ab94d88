"""Checks of the arguments of networks, and the channels of their stages."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ganforge.errors import ConfigError


def check_at_least(name: str, minimum: int, **values: int) -> None:
    """Raises ConfigError for an argument of network ``name`` below ``minimum``."""
    for argument, value in values.items():
        if value < minimum:
            raise ConfigError(f"{name}: {argument} must be at least {minimum}, got {value}")


def check_fraction(name: str, **values: float) -> None:
    """Raises ConfigError for an argument outside [0, 1)."""
    for argument, value in values.items():
        if not 0 <= value < 1:
            raise ConfigError(f"{name}: {argument} must be in [0, 1), got {value}")


def check_choice(name: str, legal: Collection[str | int], **values: str | int) -> None:
    """Raises ConfigError for an argument that is not one of ``legal``."""
    for argument, value in values.items():
        if value not in legal:
            raise ConfigError(
                f"{name}: {argument} must be one of {', '.join(map(str, legal))}; got {value!r}"
            )


def check_channels(name: str, channels: int) -> None:
    """Raises ConfigError unless images are gray, gray + alpha, RGB or RGBA (1 to 4 channels)."""
    if not 1 <= channels <= 4:
        raise ConfigError(f"{name}: channels must be 1, 2, 3 or 4, got {channels}")


def check_image_size(
    name: str, image_size: int, sizes: Sequence[int], other: str = "network=mlp takes any size"
) -> None:
    """Raises ConfigError for an unsupported image size; advises the nearest, or another network.

    Args:
        name: class of the network.
        image_size: requested size; 1 for two-dimensional points.
        sizes: supported sizes.
        other: advice to use another network.
    """
    if image_size in sizes:
        return
    nearest = min(sizes, key=lambda size: abs(size - image_size))
    advice = f"data.image_size={nearest} is the nearest; {other}"
    if image_size == 1:
        advice = "Points take a fully connected network: model=gan network=mlp_points"
    raise ConfigError(
        f"{name}: image_size must be one of {', '.join(map(str, sizes))}; got {image_size}. "
        + advice
    )


def powers_of_two(low: int, high: int) -> list[int]:
    """Returns low, 2 low, 4 low, ... high."""
    return [low << step for step in range(high.bit_length() - low.bit_length() + 1)]


def doubling_widths(levels: int, width: int, max_width: int) -> list[int]:
    """Returns the channels after each halving of an image: doubling, up to ``max_width``."""
    return [min(width << level, max_width) for level in range(levels)]


def stage_widths(image_size: int, width: int, full_width: int) -> list[int]:
    """Returns the channels at 4x4, 8x8, ... up to ``image_size``.

    They equal ``width`` up to the resolution ``full_width``, then halve at each doubling. For
    image_size 256, width 768 and full_width 32: 768, 768, 768, 768, 384, 192, 96.
    """
    sides = powers_of_two(4, image_size)
    return [max(width * full_width // max(side, full_width), 1) for side in sides]
