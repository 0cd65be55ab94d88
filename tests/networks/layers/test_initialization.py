from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from ganforge.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from ganforge.networks.layers.initialization import initialize_he


@pytest.mark.parametrize("kind", [DCGANGenerator, DCGANDiscriminator])
@pytest.mark.parametrize("norm", ["batch", "instance", "layer", "none"])
def test_dcgan_statistics(kind, norm):
    """Weights ~ N(0, 0.02), gains ~ N(1, 0.02), biases 0."""
    torch.manual_seed(0)
    network = kind(32, 3, width=32, norm=norm)
    weights = [p for p in network.parameters() if p.ndim > 1]
    everything = torch.cat([p.flatten() for p in weights])
    assert everything.mean().item() == pytest.approx(0, abs=5e-4)
    assert everything.std().item() == pytest.approx(0.02, rel=0.02)
    for weight in weights:
        assert weight.std().item() == pytest.approx(0.02, rel=0.15)
    gains = [
        m.weight
        for m in network.modules()
        if isinstance(m, (nn.BatchNorm2d, nn.InstanceNorm2d, nn.GroupNorm))
    ]
    assert bool(gains) == (norm != "none")
    if gains:
        assert torch.cat(gains).mean().item() == pytest.approx(1, abs=0.01)
        assert torch.cat(gains).std().item() == pytest.approx(0.02, rel=0.3)
    assert all((p == 0).all() for name, p in network.named_parameters() if name.endswith("bias"))


def test_spectral_norm_starts_from_the_same_weights():
    torch.manual_seed(0)
    network = DCGANDiscriminator(32, 3, width=32, norm="none", spectral_norm=True)
    original = network.down[0][0].parametrizations.weight.original
    assert original.std().item() == pytest.approx(0.02, rel=0.05)


@pytest.mark.parametrize("slope", [0.0, 0.2])
def test_he_keeps_the_second_moment(slope):
    """Var(w) = 2 / ((1 + slope^2) fan_in), so that leaky ReLU layers neither fade nor grow."""
    torch.manual_seed(0)
    layer = nn.Linear(512, 512)
    initialize_he(layer, slope)
    assert layer.weight.std().item() == pytest.approx(math.sqrt(2 / (1 + slope**2) / 512), rel=0.01)
    assert (layer.bias == 0).all()
    x = torch.randn(1000, 512)
    out = nn.functional.leaky_relu(layer(x), slope)
    assert out.square().mean().item() == pytest.approx(1, rel=0.05)
