"""Paths of a run's data: made independent of the working directory, and checked for moves."""

from __future__ import annotations

import contextlib
import glob
import re
from collections.abc import Iterator
from pathlib import Path

from omegaconf import DictConfig, ListConfig, OmegaConf

from ganforge.errors import DataError
from ganforge.paths import typed_path

# Arguments that are paths: of data sets, and of feature extractors. Those of shards may be URLs,
# patterns and lists of them.
PLACES = ("path", "path_a", "path_b", "root", "dir", "test_dir", "urls", "test_urls")
_URLS = ("dir", "test_dir", "urls", "test_urls")
_SCHEME = re.compile(r"\s*(\||[A-Za-z][A-Za-z0-9+.-]+:)")  # one letter is a drive of Windows
_WEIGHTS = "weights"


def make_paths_absolute(cfg: DictConfig, start: Path) -> None:
    """Makes relative paths of data, and of weights of feature extractors, absolute, in place.

    Args:
        cfg: the configuration of a run.
        start: the folder that relative paths start from.
    """
    for node, key in _typed_places(cfg):
        texts = [_absolute(text, key, start) for text in _texts(node, key)]
        node[key] = texts[0] if isinstance(node[key], str) else texts


def start_folder(own: DictConfig, run: Path) -> Path:
    """Returns the folder that a run's relative paths start from.

    It is the folder relative to which ``log_dir`` contains the run, if the data exist there;
    otherwise the current folder.

    Args:
        own: the run's stored configuration.
        run: its folder.
    """
    log_dir = own.get("log_dir")
    parts = Path(log_dir).parts if isinstance(log_dir, str) else ()
    here = Path.cwd()
    typed = [text for node, key in _typed_places(own) for text in _texts(node, key)]
    places = [Path(text) for text in typed if not _is_url(text)]
    if not parts or Path(*parts).is_absolute() or all(path.is_absolute() for path in places):
        return here
    for parent in run.parents:
        if parent.parts[-len(parts) :] == parts:
            start = parent.parents[len(parts) - 1]
            return start if any(_is_there(start / path) for path in places) else here
    return here


@contextlib.contextmanager
def explaining_missing_data(data: DictConfig) -> Iterator[None]:
    """Adds to a DataError in the block which data path is gone, and how to give the new one.

    Args:
        data: the configuration of the data.

    Raises:
        DataError: raised by the block; with another message if a data path does not exist.
    """
    try:
        yield
    except DataError as error:
        keys = [key for key in PLACES if isinstance(data.get(key), str | ListConfig)]
        missing = [key for key in keys if any(map(_is_missing, _texts(data, key)))]
        if not missing:
            raise
        gone = ", ".join(str(data[key]) for key in missing)
        typed = " ".join(f"data.{key}=NEW" for key in missing)
        raise DataError(
            f"{gone}: not found. If the data of this run have moved, add {typed}"
        ) from error


def _typed_places(cfg: DictConfig) -> Iterator[tuple[DictConfig, str]]:
    """Yields the nodes and keys of paths that are literal values, not interpolations."""
    data, features = cfg.get("data"), cfg.get("features")
    for node, keys in ((data, PLACES), (features, (_WEIGHTS,))):
        for key in keys if isinstance(node, DictConfig) else ():
            if key not in node or OmegaConf.is_interpolation(node, key):
                continue
            if isinstance(node[key], str | ListConfig) and node[key]:
                yield node, key


def _texts(node: DictConfig, key: str) -> list[str]:
    """Returns a path, or a list of paths, as a list."""
    value = node[key]
    return [value] if isinstance(value, str) else [str(text) for text in value]


def _absolute(text: str, key: str, start: Path) -> str:
    # Texts with a scheme, such as pipe:, are for the data set to read, or to refuse.
    if _is_url(text) or (key in _URLS and _SCHEME.match(text)):
        return text
    return str(start / typed_path(text))


def _is_url(text: str) -> bool:
    return "://" in text


def _is_there(path: Path) -> bool:
    """Whether a path exists, or is a pattern that matches something; braces match anything."""
    pattern = re.sub(r"\{[^{}]*\}", "*", str(path))
    return path.exists() or bool(glob.glob(pattern))


def _is_missing(text: str) -> bool:
    return not _is_url(text) and not _is_there(typed_path(text))
