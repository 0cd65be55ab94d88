"""``--help`` in a fraction of the time: Hydra copies its configuration sources for every group."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

_COPY = "_parse_overrides_and_create_caching_repo"


@contextlib.contextmanager
def one_copy_of_sources() -> Iterator[None]:
    """Makes Hydra list all groups from one copy of its sources for the duration of the block.

    Listing reads the copy and never changes it. Versions of Hydra without this method, which is not
    part of its public interface, run as they are.
    """
    from hydra._internal.config_loader_impl import ConfigLoaderImpl

    copy = vars(ConfigLoaderImpl).get(_COPY)
    if copy is None:
        yield
        return
    made: dict[Any, Any] = {}

    def kept(loader: Any, name: str | None, overrides: list[str]) -> Any:
        key = (id(loader), name, tuple(overrides))
        if key not in made:
            made[key] = copy(loader, name, overrides)
        return made[key]

    setattr(ConfigLoaderImpl, _COPY, kept)
    try:
        yield
    finally:
        setattr(ConfigLoaderImpl, _COPY, copy)
