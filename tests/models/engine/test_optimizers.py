from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer

from ganforge.models.dcgan import DCGAN
from ganforge.models.engine.optimizers import adopt_state, corrected, frozen
from tests.support import games

LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


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


def test_a_run_resumes_in_another_layout(tmp_path: Path) -> None:
    """17 steps in one layout and 3 in the other are 20 in one, up to rounding."""

    def train(steps: int, resume: Path | None = None, **settings: bool) -> Path:
        model = games.game(DCGAN, **games.convolutional_players("batch"))
        data = games.images(16)
        trainer = games.fit(model, tmp_path, data, resume, max_steps=steps, **settings)
        path = tmp_path / f"{len(list(tmp_path.glob('*.ckpt')))}.ckpt"
        trainer.save_checkpoint(path)
        return path

    def weights(path: Path) -> Tensor:
        state = torch.load(path, weights_only=True)["state_dict"]
        return torch.cat([v.flatten().double() for v in state.values() if v.is_floating_point()])

    first = train(17, channels_last=False, fused=False)
    plain = weights(train(20, first, channels_last=False, fused=False))
    changed = weights(train(20, first, channels_last=True, fused=True))
    assert not torch.equal(plain, weights(first))
    assert float(((changed - plain).abs() > 1e-4).double().mean()) < 0.001


# ---------------------------------------------------------------------- corrections


@pytest.mark.parametrize("interval", [4, 16])
def test_adam_is_corrected_by_k_over_k_plus_1(interval):
    """lr c, beta^c; 0 stays 0."""
    parameters = [nn.Parameter(torch.zeros(2))]
    adam = torch.optim.Adam(parameters, lr=0.002, betas=(0.0, 0.99))
    share = interval / (interval + 1)
    assert corrected(adam, interval, 1) is adam
    for settings in (adam.defaults, adam.param_groups[0]):
        assert settings["lr"] == pytest.approx(0.002 * share)
        assert settings["betas"] == pytest.approx((0.0, 0.99**share))


def test_memory_and_speed_in_images_stay_the_same():
    """k + 1 corrected updates forget as much and go as far as k others."""
    adam = torch.optim.Adam([nn.Parameter(torch.zeros(2))], lr=0.002, betas=(0.5, 0.99))
    settings = corrected(adam, 4, 1).defaults
    lr, betas = settings["lr"], settings["betas"]
    assert lr * 5 == pytest.approx(0.002 * 4)
    assert [beta**5 for beta in betas] == pytest.approx([0.5**4, 0.99**4])


def test_without_further_updates_nothing_changes():
    sgd = corrected(torch.optim.SGD([nn.Parameter(torch.zeros(2))], lr=0.1), 1, 0)
    assert sgd.defaults["lr"] == sgd.param_groups[0]["lr"] == 0.1


# ---------------------------------------------------------------------- frozen weights


def flags(module: nn.Module) -> list[bool]:
    return [p.requires_grad for p in module.parameters()]


def test_gradients_pass_through_frozen_weights_and_stay_out_of_them():
    layer, images = nn.Linear(3, 2), torch.ones(1, 3, requires_grad=True)
    with frozen(layer.parameters()):
        assert flags(layer) == [False, False]
        layer(images).sum().backward()
    assert flags(layer) == [True, True]
    assert layer.weight.grad is None
    assert torch.equal(images.grad, layer.weight.detach().sum(0, keepdim=True))


def test_weights_are_freed_after_an_exception():
    layer = nn.Linear(3, 2)
    with pytest.raises(ZeroDivisionError), frozen(layer.parameters()):
        raise ZeroDivisionError
    assert flags(layer) == [True, True]


def test_frozen_weights_stay_frozen():
    layers = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1).requires_grad_(False))
    with frozen(layers.parameters()):
        pass
    assert flags(layers) == [True, True, False, False]


def test_blocks_may_be_nested():
    layer = nn.Linear(3, 2)
    with frozen(layer.parameters()):
        with frozen(layer.parameters()):
            pass
        assert flags(layer) == [False, False]
    assert flags(layer) == [True, True]
