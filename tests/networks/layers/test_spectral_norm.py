from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize

from ganforge.networks import DCGANDiscriminator
from ganforge.networks.layers.spectral_norm import normalize_weight
from ganforge.regularizers.input_gradient import input_gradient


def layers():
    """Our layer and PyTorch's, of equal weights and singular vectors."""
    pair = []
    for normalize in (normalize_weight, parametrizations.spectral_norm):
        torch.manual_seed(0)
        pair.append(nn.Conv2d(3, 5, 3))
        normalize(pair[-1])
    return pair


@pytest.mark.parametrize("kind", [nn.Linear, nn.Embedding, nn.Conv2d, nn.ConvTranspose2d])
def test_it_is_that_of_pytorch(kind):
    """The same numbers under the same names, so stored weights fit both."""
    pair = []
    for normalize in (normalize_weight, parametrizations.spectral_norm):
        torch.manual_seed(0)
        layer = kind(4, 5, 3) if issubclass(kind, nn.modules.conv._ConvNd) else kind(4, 5)
        normalize(layer)
        pair.append(layer)
    for _ in range(2):
        ours, theirs = (layer.weight for layer in pair)
        assert torch.equal(ours, theirs)
        gradients = [
            torch.autograd.grad(weight.square().sum(), layer.parametrizations.weight.original)[0]
            for weight, layer in zip((ours, theirs), pair, strict=True)
        ]
        assert torch.equal(*gradients)
    first, second = (layer.state_dict() for layer in pair)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_autocast_does_not_reach_it():
    layer, _ = layers()
    layer.eval()
    with torch.autocast("cpu", torch.bfloat16):
        inside = layer.weight
    assert inside.dtype == torch.float32
    assert torch.equal(inside, layer.weight)


def test_one_iteration_for_all_passes():
    """Miyato et al. 2018, algorithm 1: v <- W^T u, u <- W v, once an update."""
    layer, _ = layers()
    norm = layer.parametrizations.weight[0]
    matrix = layer.parametrizations.weight.original.detach().flatten(1)
    expected = matrix @ norm._v
    expected /= expected.norm()
    images = torch.randn(2, 3, 4, 4)
    with parametrize.cached():
        for _ in range(3):
            layer(images)
    torch.testing.assert_close(norm._u, expected)
    first = layer.weight
    assert not torch.equal(norm._u, expected)  # outside, each use is an iteration
    assert not torch.equal(first, layer.weight)


def loss_of(network, images):
    """A loss with two passes and a gradient penalty."""
    slopes = input_gradient(network, images)
    return network(images).mean() - network(-images).square().mean() + slopes.square().sum()


def test_gradients_through_several_uses():
    """They equal those without the cache and the same u and v."""
    torch.manual_seed(0)
    network = DCGANDiscriminator(16, 1, width=4, norm="none", spectral_norm=True).double()
    images = torch.randn(2, 1, 16, 16, dtype=torch.float64)
    parameters = list(network.parameters())
    with parametrize.cached():
        loss = loss_of(network, images)
    cached = torch.autograd.grad(loss, parameters)
    network.eval()  # keeps u and v
    plain = torch.autograd.grad(loss_of(network, images), parameters)
    for ours, expected in zip(cached, plain, strict=True):
        torch.testing.assert_close(ours, expected)
    assert all(gradient.abs().max() > 0 for gradient in cached[:-1])


def test_a_first_pass_without_gradients_takes_none_away():
    layer, _ = layers()
    images = torch.randn(2, 3, 4, 4)
    with parametrize.cached():
        with torch.no_grad():
            layer(images)
        loss = layer(images).square().sum()
    (gradient,) = torch.autograd.grad(loss, layer.parametrizations.weight.original)
    layer.eval()
    (expected,) = torch.autograd.grad(
        layer(images).square().sum(), layer.parametrizations.weight.original
    )
    torch.testing.assert_close(gradient, expected)
