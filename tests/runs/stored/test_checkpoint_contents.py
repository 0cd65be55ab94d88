from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from ganforge.errors import DamagedError, RunError
from ganforge.runs.stored.checkpoint_contents import (
    assert_finite,
    assert_of_ganforge,
    assert_resumable,
    assert_same_architecture,
)

PATH = Path("x.ckpt")


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))


def checkpoint() -> dict[str, Any]:
    return {
        "state_dict": network().state_dict(),
        "progress": {
            "iteration": 3,
            "images_seen": 12,
            "updates": {"generator": 3, "discriminator": 3},
            "seconds": 1.5,
            "lasting": {"p": 0.5},
        },
        "config": {"seed": 0},
        "epoch": 0,
        "global_step": 3,
        "loops": {},
        "callbacks": {},
        "optimizer_states": [{"state": {}, "param_groups": []}] * 2,
        "lr_schedulers": [],
    }


def test_what_ganforge_writes_passes() -> None:
    assert_same_architecture(network(), checkpoint(), PATH)
    assert_finite(network(), checkpoint(), PATH)
    assert_resumable(checkpoint(), PATH)


def put(*keys: Any, value: Any = None) -> Callable[[Any], None]:
    """Returns what replaces an entry of nested containers, or removes it."""

    def change(one: Any) -> None:
        for key in keys[:-1]:
            one = one[key]
        if value is None:
            del one[keys[-1]]
        else:
            one[keys[-1]] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        put("state_dict"),
        put("state_dict", value=[]),
        put("state_dict", value={}),
        put("state_dict", "0.bias", value="x"),
        put("state_dict", 7, value=torch.ones(1)),
        put("progress"),
        put("progress", value=3),
        put("progress", "iteration"),
        put("progress", "iteration", value="3"),
        put("progress", "iteration", value=True),
        put("progress", "images_seen", value=1.5),
        put("progress", "updates", value=[3, 3]),
        put("progress", "updates", "generator"),
        put("progress", "seconds", value="1"),
        put("progress", "lasting", "p", value=[1]),
        put("config", value=[1]),
    ],
)
def test_other_structures_are_damage(change: Callable[[Any], None]) -> None:
    found = checkpoint()
    change(found)
    with pytest.raises(DamagedError, match=r"x\.ckpt: "):
        assert_of_ganforge(found, PATH)


@pytest.mark.parametrize(
    "change",
    [
        *(put(name) for name in ("loops", "callbacks", "optimizer_states", "lr_schedulers")),
        put("epoch", value="0"),
        put("global_step", value={}),
        put("optimizer_states", value=[]),
        put("optimizer_states", 0, value=3),
        put("optimizer_states", 0, value={"state": {}}),
    ],
)
def test_what_no_training_could_continue_is_damage(change: Callable[[Any], None]) -> None:
    found = checkpoint()
    change(found)
    with pytest.raises(DamagedError, match=r"x\.ckpt: damaged"):
        assert_resumable(found, PATH)


@pytest.mark.parametrize(
    ("name", "value", "sound"),
    [
        ("0.weight", torch.nan, False),
        ("0.weight", torch.inf, False),
        ("1.running_mean", torch.nan, False),
        ("1.running_mean", torch.inf, True),
        ("0.weight", 1.0, True),
    ],
)
def test_weights_are_finite(name: str, value: float, sound: bool) -> None:
    found = checkpoint()
    found["state_dict"][name].view(-1)[0] = value
    if sound:
        assert_finite(network(), found, PATH)
    else:
        with pytest.raises(DamagedError, match=f"NaN or infinite: {name}"):
            assert_finite(network(), found, PATH)


def test_names_from_a_file_are_shown_on_one_line() -> None:
    found = checkpoint()
    found["state_dict"]["\x1b[2J\nx"] = torch.ones(1)
    with pytest.raises(RunError, match="another architecture") as raised:
        assert_same_architecture(network(), found, PATH)
    assert "\x1b" not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_configuration_that_would_exhaust_stack_or_memory_is_damage() -> None:
    deep: dict[str, Any] = {}
    wide: list[Any] = [0] * 10
    for _ in range(1500):
        deep = {"a": deep}
    for _ in range(9):
        wide = [wide] * 10  # a billion values of 100 objects
    for config in ({"loss": deep}, {"loss": wide}):
        with pytest.raises(DamagedError, match="damaged: its configuration has over 100,000"):
            assert_of_ganforge(checkpoint() | {"config": config}, PATH)
