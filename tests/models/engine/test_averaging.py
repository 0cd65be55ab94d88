from __future__ import annotations

import pytest
import torch
from torch import nn

from ganforge.errors import ConfigError
from ganforge.models.engine.averaging import ExponentialMovingAverage
from tests.support import games


def constant(value: float) -> nn.Module:
    layer = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    for parameter in layer.parameters():
        nn.init.constant_(parameter, value)
    return layer


def averages(average: ExponentialMovingAverage) -> set[float]:
    return {round(float(x), 6) for p in average.module.parameters() for x in p.flatten()}


@pytest.mark.parametrize(
    ("half_life", "ramp", "batch", "seen", "decay"),
    [
        (1000.0, None, 1000, 5, 0.5),
        (1000.0, None, 500, 5, 0.5**0.5),
        (1000.0, 0.05, 64, 64, 0.5 ** (64 / 3.2)),
        (1000.0, 0.05, 64, 20_000, 0.5 ** (64 / 1000)),
        (1000.0, 0.05, 64, 10**9, 0.5 ** (64 / 1000)),
        (0.0, None, 64, 64, 0.0),
        (1000.0, 0.05, 64, 0, 0.0),
    ],
)
def test_the_decay_follows_from_the_half_life_in_images(half_life, ramp, batch, seen, decay):
    assert ExponentialMovingAverage(half_life, ramp).decay(batch, seen) == pytest.approx(decay)


def test_half_of_the_old_value_is_left_after_the_half_life_at_any_batch_size():
    for batch in (10, 50, 100):
        live = constant(0.0)
        average = ExponentialMovingAverage(half_life=100.0, ramp=None)
        average.follow(live)
        for parameter in live.parameters():
            nn.init.constant_(parameter, 1.0)
        for _ in range(100 // batch):
            average.update(live, batch, 10**6)
        assert averages(average) == {0.5}


def test_a_half_life_of_zero_follows_the_live_weights():
    average = ExponentialMovingAverage(half_life=0.0)
    average.follow(constant(0.0))
    average.update(constant(2.0), 1, 1)
    assert averages(average) == {2.0}


def test_buffers_of_every_dtype_are_copied():
    """Counters stay integers; masks and empty buffers are copied too."""
    live = constant(0.0)
    live.register_buffer("mask", torch.tensor([True, False]))
    live.register_buffer("low", torch.ones(2, 2, dtype=torch.bfloat16).T)
    live.register_buffer("empty", torch.zeros(0))
    average = ExponentialMovingAverage(half_life=100.0, ramp=None)
    average.follow(live)
    live[1].num_batches_tracked.fill_(2**40 + 1)  # a float would round it
    live[1].running_mean.fill_(0.1)
    live.mask.logical_not_()
    live.low.fill_(0.3)
    average.update(live, 1, 1)
    copies = dict(average.module.named_buffers())
    for name, buffer in live.named_buffers():
        assert copies[name].dtype == buffer.dtype
        assert torch.equal(copies[name], buffer)


def test_statistics_are_copied_not_averaged():
    live = constant(0.0)
    average = ExponentialMovingAverage(half_life=100.0, ramp=None)
    average.follow(live)
    live[1].running_mean.fill_(8.0)
    live[1].num_batches_tracked.fill_(3)
    average.update(live, 1, 1)
    assert average.module[1].running_mean.tolist() == [8.0, 8.0]
    assert average.module[1].num_batches_tracked.item() == 3


def test_it_stays_in_evaluation_mode_whatever_its_parent_is_in():
    model = games.game(**games.convolutional_players("batch"))
    model.train()
    assert model.generator.training
    assert not any(module.training for module in model.average.modules())


def test_it_is_saved_but_not_trained(tmp_path):
    model = games.game()
    games.fit(model, tmp_path, max_steps=1)
    assert any(name.startswith("average.module.") for name in model.state_dict())
    mine = {id(p) for p in model.average.parameters()}
    trained = {id(p) for o in model.optimizers() for g in o.param_groups for p in g["params"]}
    assert mine
    assert not mine & trained
    assert not any(p.requires_grad for p in model.average.parameters())
    assert all(p.grad is None for p in model.average.parameters())


def test_it_does_not_share_memory_with_the_live_weights():
    live = constant(0.0)
    average = ExponentialMovingAverage()
    average.follow(live)
    nn.init.constant_(live[0].weight, 5.0)
    assert averages(average) == {0.0}
    assert torch.equal(average(torch.ones(1, 2)), torch.zeros(1, 2))


@pytest.mark.parametrize(
    ("wrong", "named"),
    [({"half_life": -1.0}, "half_life must be at least 0"), ({"ramp": 0.0}, "ramp must be above")],
)
def test_wrong_values_are_refused(wrong, named):
    with pytest.raises(ConfigError, match=named):
        ExponentialMovingAverage(**wrong)
