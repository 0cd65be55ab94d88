from __future__ import annotations

import pytest
import torch

from ganforge.networks import (
    StyleGAN2Discriminator,
    StyleGAN2Generator,
    StyleGANDiscriminator,
    StyleGANGenerator,
)
from ganforge.networks.layers.checkpointing import Checkpointed
from ganforge.regularizers.input_gradient import norm
from ganforge.regularizers.zero_centered import R1
from ganforge.streams import Noise

SMALL = {"width": 8, "full_width": 4}
STYLES = {"latent_dim": 4, "w_dim": 4, "mapping_layers": 1}


def pair(kind, **options):
    """The same network without and with checkpointing."""
    made = []
    for checkpointing in (False, True):
        torch.manual_seed(0)
        network = kind(16, 1, **SMALL, **options, checkpointing=checkpointing)
        blocks = [m for m in network.modules() if isinstance(m, Checkpointed)]
        assert blocks
        assert all(block.checkpointing is checkpointing for block in blocks)
        made.append(network)
    return made


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def r1(network):
    return R1().penalty(network, normal(4, 1, 16, 16), normal(4, 1, 16, 16), Noise(0, 4))


def logits(network):
    return network(normal(4, 1, 16, 16)).square().mean()


def path_length(network):
    ws = network.mapping.broadcast(network.mapping(normal(2, 4)))
    images = network.synthesize(ws)
    y = normal(*images.shape, seed=1)
    (slopes,) = torch.autograd.grad((images * y).sum(), ws, create_graph=True)
    return (norm(slopes) - 1).square().mean()


def pixels(network):
    return network(normal(2, 4)).square().mean()


@pytest.mark.parametrize(
    ("kind", "options", "loss"),
    [
        (StyleGANGenerator, STYLES, pixels),
        (StyleGANGenerator, STYLES, path_length),
        (StyleGAN2Generator, STYLES, pixels),
        (StyleGAN2Generator, STYLES, path_length),
        (StyleGAN2Generator, {**STYLES, "grouped": True}, path_length),
        (StyleGANDiscriminator, {}, logits),
        (StyleGANDiscriminator, {}, r1),
        (StyleGAN2Discriminator, {}, logits),
        (StyleGAN2Discriminator, {}, r1),
    ],
)
def test_derivatives_are_the_same(kind, options, loss):
    """Those of the loss, and those of the gradients in a penalty."""
    results = []
    for network in pair(kind, **options):
        value = loss(network)
        leaves = list(network.parameters())
        results.append([value, *torch.autograd.grad(value, leaves, allow_unused=True)])
    for plain, checkpointed in zip(*results, strict=True):
        assert (plain is None) == (checkpointed is None)
        if plain is not None:
            torch.testing.assert_close(checkpointed, plain, rtol=1e-5, atol=1e-6)
    assert any(gradient is not None and gradient.any() for gradient in results[0][1:])


@pytest.mark.parametrize(
    ("kind", "options", "loss"),
    [(StyleGAN2Generator, STYLES, pixels), (StyleGAN2Discriminator, {}, logits)],
)
def test_fewer_activations_are_kept(kind, options, loss):
    kept = []
    for network in pair(kind, **options):
        weights = {parameter.data_ptr() for parameter in network.parameters()}
        sizes: dict[int, int] = {}

        def remember(tensor, sizes=sizes, weights=weights):
            if tensor.data_ptr() not in weights:
                sizes[tensor.data_ptr()] = tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(remember, lambda tensor: tensor):
            loss(network)
        kept.append(sum(sizes.values()))
    assert kept[1] < kept[0] / 2
