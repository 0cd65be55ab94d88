from __future__ import annotations

import typing
from typing import Required, TypedDict, Unpack

import pytest
from omegaconf import OmegaConf

from ganforge.config.check import check
from ganforge.config.types import hints_of, parameters_of
from ganforge.errors import ConfigError


class Base:
    def __init__(self, name: str, size: int = 1, seed: int = 0) -> None:
        self.name, self.size, self.seed = name, size, seed


class Parts(TypedDict, total=False):
    name: Required[str]
    size: int
    seed: int


class Middle(Base):
    def __init__(self, size: int = 2, *, rate: float = 0.5, **parts: Unpack[Parts]) -> None:
        super().__init__(size=size, **parts)
        self.rate = rate


class FewParts(TypedDict, total=False):
    name: Required[str]
    rate: float


class Last(Middle):
    def __init__(self, mode: str = "a", **parts: Unpack[FewParts]) -> None:
        super().__init__(**parts)
        self.mode = mode


class Narrow(TypedDict, total=False):
    limit: int


class Wide(Base):
    def __init__(self, limit: int | None = None, **parts: Unpack[Parts]) -> None:
        super().__init__(**parts)
        self.limit = limit


class Narrower(Wide):
    def __init__(self, **parts: Unpack[Narrow]) -> None:
        super().__init__("", **parts)


class Other(Base):
    def __init__(self, *, extra: bool = False, **parts: Unpack[Parts]) -> None:
        super().__init__(**parts)
        self.extra = extra


class Both(Other, Middle):
    """Next to Other in its order is Middle, not Base."""


class Open(Base):
    def __init__(self, **anything: typing.Any) -> None:
        super().__init__("", **anything)


def names(cls: type) -> dict[str, object]:
    return {name: one.default for name, one in parameters_of(cls)[0].items()}


def test_arguments_are_followed_through_the_bases():
    missing = parameters_of(Base)[0]["name"].default
    assert names(Base) == {"name": missing, "size": 1, "seed": 0}
    assert names(Middle) == {"size": 2, "rate": 0.5, "name": missing, "seed": 0}
    assert names(Last) == {"mode": "a", "rate": 0.5, "name": missing}
    assert names(Both) == {"extra": False, "size": 2, "name": missing, "seed": 0}
    assert Both(name="x", size=3, seed=1).size == 3
    assert all(not parameters_of(cls)[1] for cls in (Base, Middle, Last, Both))
    assert parameters_of(Open) == ({}, True)
    assert hints_of(Last)["rate"] is float
    assert hints_of(Middle)["seed"] is int
    assert hints_of(Wide)["limit"] == int | None
    assert hints_of(Narrower)["limit"] is int


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"name": "x", "seeds": 1}, "did you mean 'seed'"),
        ({"seed": 1}, "part.name: .*Middle needs it"),
        ({"name": "x", "seed": "y"}, "part.seed: must be a whole number"),
        ({"name": "x", "anything": 1}, "takes no 'anything'"),
    ],
)
def test_what_is_passed_on_is_checked(given, fault):
    check(OmegaConf.create({"part": {"_target_": f"{__name__}.Middle", "name": "x", "seed": 3}}))
    with pytest.raises(ConfigError, match=fault):
        check(OmegaConf.create({"part": {"_target_": f"{__name__}.Middle", **given}}))
