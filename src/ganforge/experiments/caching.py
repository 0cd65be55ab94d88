from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig
from rich.table import Table

from ganforge.config import check, did_you_mean
from ganforge.console import console, setup_logging
from ganforge.errors import ConfigError, RunError

KINDS = ("classifiers", "statistics")
# Downloads lie there by default. What took an hour to fetch is not removed with what takes minutes.
DOWNLOADS = "data"
IN_PROGRESS = 3600.0  # seconds for which a half-written file is taken for another process's work
UNITS = ("B", "kB", "MB", "GB", "TB")


@dataclass(frozen=True)
class Entry:
    """A file of the cache.

    Attributes:
        kind: the folder that it is in: classifiers, statistics.
        path: the file.
        size: in bytes.
        age: seconds since it was written.
    """

    kind: str
    path: Path
    size: int
    age: float


def manage_cache(cfg: DictConfig) -> list[Entry]:
    """Lists what is kept between runs, or removes it: all of it can be made anew.

    Args:
        cfg: composed from conf/cache.yaml.

    Returns:
        What was listed or removed.

    Raises:
        ConfigError: for ``clear`` of a kind that there is not.
        RunError: where a file can't be removed.
    """
    setup_logging()
    check(cfg)
    root = cache_folder()
    found = list(entries(root))
    kind: str | None = cfg["clear"]  # cfg.clear is what empties a mapping
    if kind is None:
        _show(found, root)
        return found
    kinds = sorted({*KINDS, *(entry.kind for entry in found)})
    if kind not in ("all", *kinds):
        raise ConfigError(f"clear={kind}: {did_you_mean(kind, ['all', *kinds])}")
    chosen = [entry for entry in found if kind in ("all", entry.kind)]
    removed = [entry for entry in chosen if _remove(entry)]
    freed = bytes_as_text(sum(entry.size for entry in removed))
    files = "1 file" if len(removed) == 1 else f"{len(removed)} files"
    console.print(f"removed {files}, {freed}, from {root}", soft_wrap=True, highlight=False)
    return removed


def cache_folder() -> Path:
    """Returns the folder of everything that is kept between runs."""
    # The same place as in metrics.classifier, which would bring torch along.
    return Path(os.environ.get("GANFORGE_CACHE") or Path.home() / ".cache" / "ganforge")


def entries(root: Path) -> Iterator[Entry]:
    """Yields the files of every kind, the newest first."""
    now = time.time()
    for folder in sorted(path for path in root.glob("*") if path.is_dir()):
        if folder.name == DOWNLOADS:
            continue
        found = []
        for path in folder.rglob("*"):
            try:
                about = path.stat()
            except FileNotFoundError:  # another process has just renamed or removed it
                continue
            if path.is_file():
                found.append(Entry(folder.name, path, about.st_size, now - about.st_mtime))
        yield from sorted(found, key=lambda entry: entry.age)


def bytes_as_text(size: float) -> str:
    """Returns 950 B, 1.2 kB, 34.5 MB."""
    unit = 0
    while size >= 1000 and unit < len(UNITS) - 1:
        size, unit = size / 1000, unit + 1
    return f"{size:.0f} {UNITS[unit]}" if unit == 0 else f"{size:.1f} {UNITS[unit]}"


def age_as_text(seconds: float) -> str:
    """Returns 40 s, 12 min, 5 h or 3 days."""
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def _remove(entry: Entry) -> bool:
    if ".tmp" in entry.path.name and entry.age < IN_PROGRESS:
        return False
    try:
        entry.path.unlink(missing_ok=True)
    except OSError as error:
        raise RunError(f"cannot remove {entry.path} ({error.strerror or error})") from error
    return True


def _show(found: list[Entry], root: Path) -> None:
    if not found:
        console.print(f"nothing is kept in {root}", soft_wrap=True, highlight=False)
        return
    table = Table("kind", "name", "size", "age")
    for entry in found:
        name = str(entry.path.relative_to(root / entry.kind))
        table.add_row(entry.kind, name, bytes_as_text(entry.size), age_as_text(entry.age))
    console.print(table, highlight=False)
    total = bytes_as_text(sum(entry.size for entry in found))
    console.print(f"{total} in {root}; clear=all removes it", soft_wrap=True, highlight=False)
