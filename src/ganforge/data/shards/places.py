"""Where shards are: paths, patterns and URLs, expanded to one place per shard."""

from __future__ import annotations

import glob
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import takewhile
from pathlib import Path

from ganforge.data.shards.remote import REMOTE, Remote
from ganforge.errors import ConfigError, DataError
from ganforge.paths import typed_path
from ganforge.plain_text import one_line

MOST_SHARDS = 1_000_000

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")
_WILD = re.compile(r"[*?\[]")


def read_urls(urls: object, key: str) -> list[str]:
    """Returns ``data.urls``, one text or a list of them, as a list; reads nothing.

    Raises:
        ConfigError: an entry is no text, is a pattern of HTTP URLs, or has a scheme that is not
            supported, such as ``pipe:``.
    """
    listed = [urls] if isinstance(urls, str) else urls
    if not isinstance(listed, Sequence) or not all(isinstance(url, str) for url in listed):
        raise ConfigError(f"{key} must be a path or URL, or a list of them, got {urls!r}")
    for url in listed:
        _check_scheme(url, key)
    return [str(url) for url in listed]


def expanded(urls: Iterable[str], remote: Remote) -> list[str]:
    """Returns the place of each shard: brace ranges expanded, patterns matched, in order.

    Patterns match local files and S3; servers of plain HTTP do not list their files.

    Raises:
        DataError: a pattern matches nothing, or a shard is named twice.
        ConfigError: there are more than ``MOST_SHARDS``.
    """
    places: list[str] = []
    for url in urls:
        for text in braces(url):
            places += _matches(text, remote)
            if len(places) > MOST_SHARDS:
                raise ConfigError(f"{one_line(url)} names more than {MOST_SHARDS:,} shards")
    if twice := [place for place, count in Counter(places).items() if count > 1]:
        raise DataError(f"{one_line(min(twice))} is named twice")
    return places


def braces(url: str) -> Iterator[str]:
    """Yields the texts that braces stand for: ``a-{00..02}`` and ``a-{x,y}``, as in a shell."""
    match = _BRACES.search(url)
    if match is None:
        yield url
        return
    for choice in _choices(match[1], url):
        yield from braces(url[: match.start()] + choice + url[match.end() :])


def is_remote(place: str) -> bool:
    """Whether a place is a URL of a supported scheme, and not a path."""
    return place.partition("://")[0].lower() in REMOTE and "://" in place


def short_names(places: Sequence[str]) -> list[str]:
    """Returns names of shards for messages and identities: without the folder that all share."""
    parts = [place.partition("?")[0].split("/") for place in places]
    # posixpath.commonpath refuses URLs and absolute paths together, and turns // into /.
    folders = [part[:-1] for part in parts]
    ends = zip(min(folders, default=[]), max(folders, default=[]), strict=False)
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], ends))
    return ["/".join(part[shared:]) for part in parts]


def next_to(place: str, name: str) -> str:
    """Returns the place of the file ``name`` in the folder of a shard."""
    if is_remote(place):
        return f"{place.partition('?')[0].rpartition('/')[0]}/{name}"
    return str(Path(place).parent / name)


def _check_scheme(url: str, key: str) -> None:
    if url.lstrip().lower().startswith(("pipe:", "|")):
        raise ConfigError(
            f"{key}={one_line(url)}: ganforge runs no commands to read data. Give the path or URL "
            f"of the shards instead: a path, or {', '.join(f'{name}://' for name in REMOTE)}"
        )
    match = _SCHEME.match(url)
    if match and len(match[1]) > 1 and match[1].lower() not in (*REMOTE, "file"):
        raise ConfigError(
            f"{key}={one_line(url)}: the scheme {match[1]}: is not supported; legal: paths, "
            f"{', '.join(f'{name}://' for name in REMOTE)}"
        )
    if is_remote(url) and not url.lower().startswith("s3:") and "*" in url.partition("?")[0]:
        raise ConfigError(
            f"{key}={one_line(url)}: servers of plain HTTP do not list their files; name them, as "
            "in shard-{000..099}.tar"
        )
    if not url.strip():
        raise ConfigError(f"{key} is empty")


def _choices(inner: str, url: str) -> list[str]:
    match = _RANGE.fullmatch(inner)
    if match is None:
        return inner.split(",")
    first, last = int(match[1]), int(match[2])
    if last < first or last - first >= MOST_SHARDS:
        raise ConfigError(f"{one_line(url)}: {{{inner}}} is not a range of up to {MOST_SHARDS:,}")
    width = len(match[1]) if match[1].startswith("0") else 0
    return [f"{number:0{width}d}" for number in range(first, last + 1)]


def _matches(text: str, remote: Remote) -> list[str]:
    if is_remote(text):
        if text.partition("://")[0].lower() != "s3" or not _WILD.search(text):
            return [text]  # in an HTTP URL, ? starts a query
        found = remote.matches(text)
    else:
        path = str(typed_path(text.removeprefix("file://")))
        if Path(path).exists() or not _WILD.search(path):
            return [path]
        found = sorted(glob.glob(path))
    if not found:
        raise DataError(f"{one_line(text)} matches no shard")
    return found
