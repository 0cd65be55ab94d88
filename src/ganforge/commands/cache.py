from __future__ import annotations

from rich.table import Table
from rich.text import Text

from ganforge.config.check import did_you_mean
from ganforge.config.requests import CacheRequest
from ganforge.console import console, setup_logging
from ganforge.errors import ConfigError, RunError
from ganforge.metrics.cache_folder import KINDS, Entry, clear, entries
from ganforge.paths import cache_root
from ganforge.plain_text import one_line

UNITS = ("B", "kB", "MB", "GB", "TB")


def manage_cache(request: CacheRequest) -> list[Entry]:
    """Lists or clears the cache shared between runs; everything in it can be recreated.

    Args:
        request: the command as typed.

    Returns:
        The entries that were listed or removed.

    Raises:
        ConfigError: if ``clear`` names an unknown kind.
        RunError: if a file cannot be removed.
    """
    setup_logging()
    kind = request.clear
    if kind is None:
        cached = entries()
        _print(cached)
        return cached
    if kind not in ("all", *KINDS):
        raise ConfigError(f"clear={kind}: {did_you_mean(kind, ['all', *KINDS])}")
    try:
        removed = clear(None if kind == "all" else kind)
    except OSError as error:
        raise RunError(f"cannot clear {cache_root()} ({error.strerror or error})") from error
    files = "1 file" if len(removed) == 1 else f"{len(removed)} files"
    console.print(f"removed {files}, {_total(removed)}, from {cache_root()}", soft_wrap=True)
    return removed


def bytes_as_text(size: float) -> str:
    """Returns a size as text: 950 B, 1.2 kB, 34.5 MB."""
    unit = 0
    while size >= 1000 and unit < len(UNITS) - 1:
        size, unit = size / 1000, unit + 1
    return f"{size:.0f} {UNITS[unit]}" if unit == 0 else f"{size:.1f} {UNITS[unit]}"


def age_as_text(seconds: float) -> str:
    """Returns an age as text: 40 s, 12 min, 5 h or 3 days."""
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def _print(cached: list[Entry]) -> None:
    if not cached:
        console.print(f"{cache_root()} is empty", soft_wrap=True)
        return
    table = Table("kind", "name", "size", "age")
    for entry in cached:
        name = Text(one_line(entry.path.name))
        table.add_row(entry.kind, name, bytes_as_text(entry.size), age_as_text(entry.age))
    console.print(table)
    console.print(f"{_total(cached)} in {cache_root()}; clear=all removes it", soft_wrap=True)


def _total(cached: list[Entry]) -> str:
    return bytes_as_text(sum(entry.size for entry in cached))
