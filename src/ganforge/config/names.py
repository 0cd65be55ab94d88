"""Validation of run names, which become part of a folder's name and a title in W&B."""

from __future__ import annotations

from ganforge.errors import ConfigError
from ganforge.plain_text import one_line

# 128 characters is W&B's limit. 180 bytes is a file system's limit of 255 minus the time, seed,
# number and suffixes in the names of folders and temporary files.
LONGEST, LONGEST_BYTES = 128, 180


def check_name(name: str) -> None:
    """Refuses a name that file systems or Weights & Biases would reject.

    Raises:
        ConfigError: the message says what is wrong with the name.
    """
    if (fault := _fault(name)) is not None:
        shown = one_line(name if len(name) <= 60 else f"{name[:57]}...")
        raise ConfigError(f"name={shown}: becomes part of a folder's name; {fault}")


def _fault(name: str) -> str | None:
    if not name.strip():
        return "it must not be empty: leave name out for MODEL-DATA"
    if "/" in name or "\\" in name:
        return "no / or \\ is legal"
    if one_line(name) != name:
        return "no control or formatting character is legal"
    if name[0] in ".-" or name[0].isspace():
        return "it must not begin with a dot, a dash or a space"
    if name[-1] == "." or name[-1].isspace():
        return "it must not end with a dot or a space"
    length, size = len(name), len(name.encode(errors="surrogateescape"))
    if length > LONGEST or size > LONGEST_BYTES:
        return f"at most {LONGEST} characters and {LONGEST_BYTES} bytes, got {length} and {size}"
    return None
