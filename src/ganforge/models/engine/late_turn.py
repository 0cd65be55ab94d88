from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ganforge.regularizers.context import Turn


class LateTurn(Turn):
    """A turn some of whose parts are made when a term first looks at them.

    A penalty that has an update to itself (lazy regularization, Karras et al. 2020,
    arXiv:1912.04958) needs few of them: R1 no generated image, path lengths no logit.

    Args:
        turn: what is at hand.
        late: functions that make the other parts, by name; they take the place of the turn's.
    """

    def __init__(self, turn: Turn, late: Mapping[str, Callable[[], Any]]) -> None:
        # Turns are frozen: they take nothing by assignment.
        vars(self).update({name: part for name, part in vars(turn).items() if name not in late})
        vars(self)["_late"] = late

    def __getattr__(self, name: str) -> Any:
        """Makes a part, once; Python asks for what it has not found."""
        late = vars(self).get("_late", {})
        if name not in late:
            raise AttributeError(name)
        vars(self)[name] = made = late[name]()
        return made
