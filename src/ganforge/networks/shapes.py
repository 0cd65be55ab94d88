"""Which images a network can make and read."""

from __future__ import annotations

from ganforge.errors import ConfigError


def check_channels(name: str, channels: int) -> None:
    """Refuses images that are neither grey, grey + alpha, RGB nor RGBA."""
    if not 1 <= channels <= 4:
        raise ConfigError(f"{name}: channels must be 1, 2, 3 or 4, got {channels}")


def check_power_of_two(name: str, image_size: int, low: int, high: int) -> None:
    """Refuses an image size that doubling from 4x4 does not reach."""
    sizes = [1 << k for k in range(low.bit_length() - 1, high.bit_length())]
    if image_size not in sizes:
        nearest = min(sizes, key=lambda size: abs(size - image_size))
        raise ConfigError(
            f"{name}: image_size must be one of {', '.join(map(str, sizes))}; got {image_size}. "
            f"data.image_size={nearest} is the nearest, and network=mlp takes any size."
        )


def check_positive(name: str, argument: str, value: int) -> None:
    """Refuses a size below 1."""
    if value < 1:
        raise ConfigError(f"{name}: {argument} must be at least 1, got {value}")
