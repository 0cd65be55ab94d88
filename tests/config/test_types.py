from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol, get_type_hints

import pytest
import torch
from omegaconf import OmegaConf
from torch import nn

from ganforge.config.types import accepts, describe

HINGE = {"_target_": "ganforge.losses.HingeLoss"}
LINEAR = {"_target_": "torch.nn.Linear", "in_features": 1, "out_features": 1}


class Speaks(Protocol):
    def speak(self) -> str: ...


@pytest.mark.parametrize(
    ("annotation", "right", "wrong"),
    [
        (int, [0, -3], [1.0, True, "1", None, [1], {}]),
        (float, [0, 1, 0.5, float("inf")], [True, "1", None, [1.0]]),
        (bool, [True, False], [0, 1, "true", None]),
        (str, ["", "a"], [1, None, True, ["a"], {"a": "b"}]),
        (type(None), [None], [0, False, ""]),
        (int | None, [1, None], ["1", 1.5]),
        (int | str, [1, "a"], [1.5, None]),
        (Literal["a", True], ["a", True], ["b", 1, False, None]),
        (Literal[1, 2], [1, 2], [True, 1.0, 3]),
        (Annotated[int, "steps"], [1], ["a"]),
        (list[int], [[], [1, 2]], [[1, "a"], 1, "12", None, {}]),
        (Sequence[int], [[], (1, 2)], [["a"], 8, "12", None]),
        (Iterable[float], [[1, 0.5]], [["a"], 1.0]),
        (tuple[float, float], [[0, 0.9]], [[0], [0, 1, 2], ["a", "b"], 0.5]),
        (tuple[int, ...], [[], [1, 2, 3]], [["a"], 1]),
        (list, [[], [1, "a"]], ["a", 1, {}]),
        (dict[str, int], [{}, {"a": 1}], [{"a": "b"}, [1], 1]),
        (dict, [{}, {"a": []}], [[1], 1]),
        (
            Mapping[str, nn.Module],
            [{}, {"a": LINEAR}, {"a": None}],
            [{"a": HINGE | {"x": 1}, "b": 1}],
        ),
        (Path, ["/a/b", "a"], [1, None, ["a"]]),
        (torch.Tensor, [], [1, 0.5, "abc", [1.0], None, {}]),
        (nn.Module, [LINEAR, HINGE], [3, "abc", None, [], {}, {"in_features": 1}]),
        (nn.Linear, [LINEAR], [HINGE]),
        (Callable[[int], float], [HINGE, LINEAR], [3, "linear", None]),
        (Speaks, [LINEAR], [3, "a", None]),
        (Any, [1, "a", None, [1], {}], []),
        ("int", [1, "a"], []),
        (int, [], [LINEAR]),
        (list[int], [], [LINEAR]),
    ],
)
def test_accepts(annotation, right, wrong):
    for value in right:
        assert accepts(annotation, value), value
        assert accepts(annotation, configured(value)), value
    for value in wrong:
        assert not accepts(annotation, value), value
        assert not accepts(annotation, configured(value)), value


def configured(value):
    """Returns a value as it comes out of a configuration."""
    return OmegaConf.create({"it": value})["it"]


def test_a_partial_target_is_taken_for_anything_callable():
    assert accepts(nn.Linear, HINGE | {"_partial_": True})


def test_a_target_that_cannot_be_loaded_is_another_fault():
    assert accepts(nn.Module, {"_target_": "nowhere.Module"})


def test_the_optimizers_of_pytorch_are_understood():
    hints = get_type_hints(torch.optim.Adam.__init__)
    assert accepts(hints["lr"], 0.1)
    assert not accepts(hints["lr"], "abc")
    assert accepts(hints["betas"], [0.0, 0.9])
    assert not accepts(hints["betas"], [0.0])
    assert describe(hints["betas"]) == "a list of 2, each a number or Tensor"


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (int, "a whole number"),
        (float, "a number"),
        (bool, "true or false"),
        (str, "text"),
        (type(None), "null"),
        (int | None, "a whole number or null"),
        (int | str, "a whole number or text"),
        (Literal["a", "b"], "one of a, b"),
        (Literal["auto", True, False], "one of auto, true, false"),
        (list[int], "a list, each a whole number"),
        (Sequence[str], "a list, each text"),
        (tuple[float, float], "a list of 2, each a number"),
        (tuple[float, ...], "a list, each a number"),
        (Callable[[int], float], "a callable"),
        (nn.Module, "Module"),
        (nn.Module | None, "Module or null"),
    ],
)
def test_describe(annotation, words):
    assert describe(annotation) == words
