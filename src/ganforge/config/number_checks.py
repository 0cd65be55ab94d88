"""Checks for numbers that are invalid in every setting.

Importing this module imports neither torch nor lightning.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

# Range of seeds that torch's generators accept.
LEAST_SEED, GREATEST_SEED = -(2**63), 2**64 - 1
_FREE = ("where",)  # filters of `ganforge runs`, which may contain any value


def number_faults(plain: dict[str, Any]) -> list[str]:
    """Returns a message for a seed out of range and for each number that is not finite.

    Args:
        plain: the configuration as plain containers, with unresolved interpolations.
    """
    seed = plain.get("seed")
    faults = []
    if isinstance(seed, int) and not LEAST_SEED <= seed <= GREATEST_SEED:
        faults.append(f"seed must be in {LEAST_SEED} ... {GREATEST_SEED}, got {seed}")
    kept = {key: value for key, value in plain.items() if key not in _FREE}
    return faults + [f"{key} must be a finite number, got {value}" for key, value in _odd(kept)]


def _odd(node: Any, path: str = "") -> Iterator[tuple[str, float]]:
    """Yields the infinite and NaN values in plain containers, with their dotted keys."""
    if isinstance(node, float) and not math.isfinite(node):
        yield path, node
    elif isinstance(node, list):
        for number, item in enumerate(node):
            yield from _odd(item, f"{path}[{number}]")
    elif isinstance(node, dict):
        for key, value in node.items():
            yield from _odd(value, f"{path}.{key}" if path else str(key))
