"""Searches without trainings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ganforge.search.pruners import NoPruner
from ganforge.search.samplers import Random
from ganforge.search.settings import Search
from ganforge.search.space import Real, Space, Whole
from ganforge.search.storage import Storage
from ganforge.search.study import SharedStudy

SPACE = {"x": Real(-1.0, 1.0), "n": Whole(1, 4)}


def make_search(**settings: Any) -> Search:
    """Returns a search over one score, or as ``settings`` say."""
    plain: dict[str, Any] = {
        "objectives": {"fid": "minimize"},
        "space": {},
        "sampler": Random(),
        "pruner": NoPruner(),
    }
    return Search(**(plain | settings))


def join(
    where: Path | str,
    space: Space = SPACE,
    owner: str = "one",
    alive: set[str] | None = None,
    **settings: Any,
) -> SharedStudy:
    """Returns a worker's view of a study that others may share."""
    search = make_search(**settings)
    storage = Storage(str(where), search.beat_seconds)
    living = {"one", "two"} if alive is None else alive
    return SharedStudy(search, space, storage, "s", {}, owner, lambda name: name in living)
