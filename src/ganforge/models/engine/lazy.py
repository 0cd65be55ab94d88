"""Lazy regularization: separate updates for penalties (Karras et al. 2020, arXiv:1912.04958)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ganforge.regularizers.context import UpdateContext


def lazy_updates(intervals: Sequence[int]) -> int:
    """Returns the number of updates in a period that are followed by a lazy update.

    A period is the least common multiple of the intervals. At update 0 all regularizers are due.
    """
    period = math.lcm(*intervals)
    return sum(any(update % every == 0 for every in intervals) for update in range(period))


class LazyContext(UpdateContext):
    """Context of an update with attributes that are computed on first access.

    A penalty in a separate update (lazy regularization, Karras et al. 2020, arXiv:1912.04958) needs
    few of them: R1 needs no generated image, the path length penalty no logit.

    Args:
        context: context with the attributes that are already known.
        late: functions that compute the other attributes, by name; they replace those of
            ``context``.
    """

    def __init__(self, context: UpdateContext, late: Mapping[str, Callable[[], Any]]) -> None:
        # UpdateContext is frozen: assignment raises, so attributes are written directly. Lazy
        # ones are left out, because __getattr__ is only called for missing attributes.
        vars(self).update({name: part for name, part in vars(context).items() if name not in late})
        vars(self)["_late"] = late

    def __getattr__(self, name: str) -> Any:
        """Computes a lazy attribute and caches it."""
        late = vars(self).get("_late", {})
        if name not in late:
            raise AttributeError(name)
        vars(self)[name] = value = late[name]()
        return value
