"""Checks of image sizes, channels and widths of networks."""

from __future__ import annotations

from collections.abc import Sequence

from ganforge.errors import ConfigError


def check_channels(name: str, channels: int) -> None:
    """Raises ConfigError unless images are gray, gray + alpha, RGB or RGBA (1 to 4 channels)."""
    if not 1 <= channels <= 4:
        raise ConfigError(f"{name}: channels must be 1, 2, 3 or 4, got {channels}")


def check_power_of_two(name: str, image_size: int, low: int, high: int) -> None:
    """Raises ConfigError unless the image size is a power of two from ``low`` to ``high``."""
    sizes = [1 << k for k in range(low.bit_length() - 1, high.bit_length())]
    if image_size not in sizes:
        raise ConfigError(
            f"{name}: image_size must be one of {', '.join(map(str, sizes))}; got {image_size}. "
            + way_out(image_size, sizes, "network=mlp takes any size")
        )


def check_stages(name: str, image_size: int, width: int, full_width: int) -> None:
    """Raises ConfigError for invalid sizes of a network with stages from 4x4 up to 1024x1024."""
    check_power_of_two(name, image_size, 8, 1024)
    check_positive(name, "width", width)
    check_full_width(name, full_width, 1024)


def check_full_width(name: str, full_width: int, high: int) -> None:
    """Raises ConfigError unless ``full_width`` is one of 4, 8, ... ``high``."""
    legal = [1 << k for k in range(2, high.bit_length())]
    if full_width not in legal:
        known = ", ".join(map(str, legal))
        raise ConfigError(f"{name}: full_width must be one of {known}; got {full_width}")


def way_out(image_size: int, sizes: Sequence[int], other: str) -> str:
    """Returns advice for a message about an image size that a network does not support.

    Args:
        image_size: requested size; 1 for two-dimensional points.
        sizes: supported sizes.
        other: advice to use another network.
    """
    if image_size == 1:
        return "Points take a fully connected network: model=gan network=mlp_points"
    nearest = min(sizes, key=lambda size: abs(size - image_size))
    return f"data.image_size={nearest} is the nearest; {other}"


def check_positive(name: str, argument: str, value: int) -> None:
    """Raises ConfigError for a value below 1."""
    if value < 1:
        raise ConfigError(f"{name}: {argument} must be at least 1, got {value}")
