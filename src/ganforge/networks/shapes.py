"""Which images a network can make and read."""

from __future__ import annotations

from collections.abc import Sequence

from ganforge.errors import ConfigError


def check_channels(name: str, channels: int) -> None:
    """Refuses images that are neither grey, grey + alpha, RGB nor RGBA."""
    if not 1 <= channels <= 4:
        raise ConfigError(f"{name}: channels must be 1, 2, 3 or 4, got {channels}")


def check_power_of_two(name: str, image_size: int, low: int, high: int) -> None:
    """Refuses an image size that doubling from 4x4 does not reach."""
    sizes = [1 << k for k in range(low.bit_length() - 1, high.bit_length())]
    if image_size not in sizes:
        raise ConfigError(
            f"{name}: image_size must be one of {', '.join(map(str, sizes))}; got {image_size}. "
            + way_out(image_size, sizes, "network=mlp takes any size")
        )


def way_out(image_size: int, sizes: Sequence[int], other: str) -> str:
    """Returns what to do about an image size that a network does not have.

    Args:
        image_size: what was asked for; 1 for points of the plane.
        sizes: those there are.
        other: another network.
    """
    if image_size == 1:
        return "Points take a fully connected network: model=gan network=mlp_points"
    nearest = min(sizes, key=lambda size: abs(size - image_size))
    return f"data.image_size={nearest} is the nearest; {other}"


def check_positive(name: str, argument: str, value: int) -> None:
    """Refuses a size below 1."""
    if value < 1:
        raise ConfigError(f"{name}: {argument} must be at least 1, got {value}")
