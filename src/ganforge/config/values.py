"""Checks of single values: numbers, seeds and the run's name.

Importing this module imports neither torch nor lightning.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from ganforge.errors import ConfigError
from ganforge.plain_text import one_line, shortened

# Range of seeds that torch's generators accept.
LEAST_SEED, GREATEST_SEED = -(2**63), 2**64 - 1
_FREE = ("where",)  # filters of `ganforge runs`, which may contain any value
# 128 characters is W&B's limit. 180 bytes is a file system's limit of 255 minus the time, seed,
# number and suffixes in the names of folders and temporary files.
LONGEST, LONGEST_BYTES = 128, 180


def number_faults(plain: dict[str, Any]) -> list[str]:
    """Returns a message for a seed out of range and for each number that is not finite.

    Args:
        plain: the configuration as plain containers, with unresolved interpolations.
    """
    seed = plain.get("seed")
    faults = []
    if isinstance(seed, int) and not LEAST_SEED <= seed <= GREATEST_SEED:
        faults.append(f"seed must be in {LEAST_SEED} ... {GREATEST_SEED}, got {seed}")
    checked = {key: value for key, value in plain.items() if key not in _FREE}
    return faults + [
        f"{key} must be a finite number, got {value}" for key, value in _not_finite(checked)
    ]


def check_name(name: str) -> None:
    """Refuses a name that file systems or Weights & Biases would reject.

    Raises:
        ConfigError: the message says what is wrong with the name.
    """
    if (fault := _fault(name)) is not None:
        raise ConfigError(
            f"name={one_line(shortened(name))}: becomes part of a folder's name; {fault}"
        )


def _fault(name: str) -> str | None:
    if not name.strip():
        return "it must not be empty: omit name for MODEL-DATA"
    if "/" in name or "\\" in name:
        return "/ and \\ are not allowed"
    if one_line(name) != name:
        return "control and formatting characters are not allowed"
    if name[0] in ".-" or name[0].isspace():
        return "it must not begin with a dot, a dash or a space"
    if name[-1] == "." or name[-1].isspace():
        return "it must not end with a dot or a space"
    length, size = len(name), len(name.encode(errors="surrogateescape"))
    if length > LONGEST or size > LONGEST_BYTES:
        return f"at most {LONGEST} characters and {LONGEST_BYTES} bytes, got {length} and {size}"
    return None


def _not_finite(node: Any, path: str = "") -> Iterator[tuple[str, float]]:
    """Yields the infinite and NaN values in plain containers, with their dotted keys."""
    if isinstance(node, float) and not math.isfinite(node):
        yield path, node
    elif isinstance(node, list):
        for number, item in enumerate(node):
            yield from _not_finite(item, f"{path}[{number}]")
    elif isinstance(node, dict):
        for key, value in node.items():
            yield from _not_finite(value, f"{path}.{key}" if path else str(key))
