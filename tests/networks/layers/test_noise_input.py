from __future__ import annotations

import pytest
import torch

from ganforge.errors import ConfigError
from ganforge.networks.layers.styles import NoiseInput, noise_maps
from ganforge.streams import Noise


def test_channels_scale_one_map():
    layer = NoiseInput(3, 4)
    features, drawn = torch.randn(2, 3, 4, 4), torch.randn(2, 1, 4, 4)
    assert torch.equal(layer(features, drawn), features)  # scales are 0 at the start
    with torch.no_grad():
        layer.scale.copy_(torch.tensor([0.0, 1.0, -2.0]))
    out = layer(features, drawn)
    for channel, scale in enumerate([0.0, 1.0, -2.0]):
        expected = features[:, channel] + scale * drawn[:, 0]
        torch.testing.assert_close(out[:, channel], expected)


def test_the_constant_map_is_the_same_for_all_runs_and_no_part_of_the_state():
    torch.manual_seed(0)
    first = NoiseInput(3, 8, layer=2)
    torch.manual_seed(1)
    second = NoiseInput(3, 8, layer=2)
    assert torch.equal(first.constant, second.constant)
    assert not torch.equal(first.constant, NoiseInput(3, 8, layer=3).constant)
    assert list(first.state_dict()) == ["scale"]
    torch.nn.init.ones_(first.scale)
    features = torch.zeros(2, 3, 8, 8)
    assert torch.equal(first(features), first.constant.expand(2, 3, 8, 8))


def test_making_a_layer_draws_nothing_from_the_global_stream():
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    NoiseInput(3, 8)
    assert torch.equal(torch.rand(1), expected)


def test_the_three_kinds_of_maps():
    assert noise_maps(Noise(0, 2), [4, 8], "const") is None
    blank = noise_maps(Noise(0, 2), [4, 8], "none")
    assert [float(drawn.abs().max()) for drawn in blank] == [0, 0]
    drawn = noise_maps(Noise(0, 2), [4, 8], "random")
    assert [tuple(m.shape) for m in drawn] == [(2, 1, 4, 4), (2, 1, 8, 8)]
    assert abs(float(noise_maps(Noise(0, 64), [32], "random")[0].std()) - 1) < 0.01


def test_maps_belong_to_their_rows():
    whole = noise_maps(Noise(1, 6), [4, 8], "random")
    parts = [noise_maps(part, [4, 8], "random") for part in Noise(1, 6).split(3)]
    ranks = [noise_maps(Noise(1, 3, rank=rank, world=2), [4, 8], "random") for rank in (0, 1)]
    for layer, expected in enumerate(whole):
        assert torch.equal(torch.cat([part[layer] for part in parts]), expected)
        assert torch.equal(torch.stack([r[layer] for r in ranks], 1).flatten(0, 1), expected)


def test_an_unknown_kind_is_refused():
    with pytest.raises(ConfigError, match="noise must be one of const, random, none; got 'pink'"):
        noise_maps(Noise(0, 2), [4], "pink")
