from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer

from ganforge.models.engine.optimizer_state import adopt_state

LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
TINY = [
    "model=dcgan",
    "data=fake",
    "data.size=32",
    "data.image_size=16",
    "data.batch_size=8",
    "network.generator.width=4",
    "network.discriminator.width=4",
    "network.generator.latent_dim=4",
    "trainer=cpu",
    "trainer.precision=32-true",
    "metrics=[]",
    "logger=csv",
    "~callbacks.samples",
    "~callbacks.progress",
]


def parameter(layout: str) -> nn.Parameter:
    values = torch.randn(8, 4, 3, 3, generator=torch.Generator().manual_seed(1))
    return nn.Parameter(values.to(memory_format=LAYOUTS[layout]))


def stepped(optimizer: Optimizer, seed: int) -> Optimizer:
    for group in optimizer.param_groups:
        for p in group["params"]:
            draws = torch.randn(p.shape, generator=torch.Generator().manual_seed(seed))
            p.grad = torch.empty_like(p).copy_(draws)
    optimizer.step()
    return optimizer


def resumed(before: Optimizer, after: Optimizer) -> dict[str, Any]:
    """Loads one optimizer's state into another, and returns the state of its first parameter."""
    after.load_state_dict(copy.deepcopy(before.state_dict()))
    adopt_state(after)
    state: dict[str, Any] = after.state[after.param_groups[0]["params"][0]]
    return state


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("then", list(LAYOUTS))
@pytest.mark.parametrize("first", list(LAYOUTS))
def test_moments_follow_the_layout_of_their_weights(first: str, then: str, fused: bool) -> None:
    alone = Adam([parameter("contiguous")], lr=0.01, amsgrad=True)
    before = stepped(Adam([parameter(first)], lr=0.01, amsgrad=True), 2)
    stepped(alone, 2)
    weight = parameter(then)
    with torch.no_grad():
        weight.copy_(before.param_groups[0]["params"][0])
    after = Adam([weight], lr=0.01, amsgrad=True, fused=fused)
    state = resumed(before, after)
    for name in ("exp_avg", "exp_avg_sq", "max_exp_avg_sq"):
        assert state[name].stride() == weight.stride()
    stepped(after, 3)
    stepped(alone, 3)
    torch.testing.assert_close(weight.detach(), alone.param_groups[0]["params"][0].detach())


def test_state_that_fits_is_not_copied() -> None:
    before = stepped(Adam([parameter("channels_last")], fused=True), 2)
    after = Adam([parameter("channels_last")], fused=True)
    after.load_state_dict(before.state_dict())
    kept = dict(after.state[after.param_groups[0]["params"][0]])
    adopt_state(after)
    assert all(after.state[after.param_groups[0]["params"][0]][k] is v for k, v in kept.items())


@pytest.mark.parametrize("flag", ["fused", "foreach", "capturable", "lr", "eps"])
def test_the_present_settings_count(flag: str) -> None:
    before, after = (Adam([parameter("contiguous")]) for _ in range(2))
    present: Any = {"lr": 0.5, "eps": 0.25}.get(flag, True)
    after.defaults[flag] = after.param_groups[0][flag] = present
    resumed(before, after)
    assert after.param_groups[0][flag] == present


@pytest.mark.parametrize(
    ("settings", "device"), [({"fused": True}, "meta"), ({"fused": False}, "cpu"), ({}, "cpu")]
)
def test_counters_are_where_the_step_reads_them(settings: dict[str, bool], device: str) -> None:
    weight = nn.Parameter(torch.empty(2, 2, device="meta"))
    optimizer = Adam([weight])
    optimizer.defaults.update(settings)
    loaded = {"step": torch.tensor(3.0), "exp_avg": torch.zeros(2, 2)}
    optimizer.state[weight] = dict(loaded)
    adopt_state(optimizer)
    assert optimizer.state[weight]["step"].device.type == device
    assert optimizer.state[weight]["exp_avg"].device.type == "meta"


def test_state_of_other_shapes_and_kinds_stays() -> None:
    weight = parameter("channels_last")
    optimizer = SGD([weight], momentum=0.9)
    odd: dict[str, Any] = {
        "rows": torch.ones(8),
        "step": torch.tensor(1),
        "note": "x",
        "none": None,
    }
    optimizer.state[weight] = odd | {"momentum_buffer": torch.zeros(8, 4, 3, 3)}
    adopt_state(optimizer)
    assert all(optimizer.state[weight][name] is value for name, value in odd.items())
    assert optimizer.state[weight]["momentum_buffer"].stride() == weight.stride()


def test_a_run_resumes_in_another_layout(type_in: Callable[..., Any], tmp_path: Path) -> None:
    """17 steps in one layout and 3 in the other are 20 in one, up to rounding."""

    def weights(run: str) -> Tensor:
        state = torch.load(tmp_path / run / "checkpoints/last.ckpt", weights_only=True)
        floats = [v for v in state["state_dict"].values() if v.is_floating_point()]
        return torch.cat([value.flatten().double() for value in floats])

    def run(name: str, *changes: str) -> Tensor:
        first = ["trainer.channels_last=false", f"run_dir={name}", "trainer.max_steps=17"]
        assert type_in("train", *TINY, *first).code == 0
        ended = type_in("train", f"resume={name}", "trainer.max_steps=20", *changes)
        assert ended.code == 0, ended.err
        return weights(name)

    plain = run("plain", "trainer.fused=false")
    changed = run("changed", "trainer.channels_last=true", "trainer.fused=true")
    assert float(((changed - plain).abs() > 1e-4).double().mean()) < 0.001
