from __future__ import annotations

import pytest
import torch
from torch import nn

from ganforge.errors import ConfigError
from ganforge.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from ganforge.networks.layers.equalized import EqualizedConv2d, EqualizedLinear
from ganforge.networks.layers.initialization import normalize_spectrum
from ganforge.regularizers.orthogonal import Orthogonal, filters, overlap
from ganforge.streams import Noise
from tests.regularizers.turns import context
from tests.support import games


def term(layer: nn.Module, player: str = "generator") -> torch.Tensor:
    return Orthogonal(player=player).term(context(Noise(0, 4), **{player: layer}))


def test_hand_derived_value_and_gradient():
    """Filters (1, 2) and (3, 4) have the product 11, which is twice off the diagonal."""
    layer = nn.Linear(2, 2)
    layer.weight.data = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    value = term(layer)
    assert value.item() == 2 * 11**2
    (gradient,) = torch.autograd.grad(value, layer.weight)
    # 4 (W W^T * (1 - I)) W
    assert gradient.tolist() == [[4 * 11 * 3, 4 * 11 * 4], [4 * 11 * 1, 4 * 11 * 2]]


def test_filters_of_any_length_cost_nothing_when_they_are_orthogonal():
    layer = nn.Linear(8, 4)
    nn.init.orthogonal_(layer.weight)
    layer.weight.data *= torch.tensor([[1.0], [2.0], [0.0], [30.0]])
    assert term(layer).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    "layer", [nn.Linear(6, 4), nn.Conv2d(6, 4, 3), nn.ConvTranspose2d(6, 4, 3), nn.Conv1d(6, 4, 2)]
)
def test_a_filter_is_all_weights_of_one_output(layer):
    """Scaling one output's weights scales one row, whatever the layer's layout."""
    axis = 1 if isinstance(layer, nn.ConvTranspose2d) else 0
    before = filters(layer).clone()
    assert before.shape == (1, 4, layer.weight[0].numel() if axis == 0 else 6 * 9)
    layer.weight.data.select(axis, 2).mul_(5)
    expected = before * torch.tensor([1.0, 1, 5, 1])[:, None]
    torch.testing.assert_close(filters(layer), expected)


@pytest.mark.parametrize("kind", [nn.Conv2d, nn.ConvTranspose2d])
def test_groups_are_layers_of_their_own(kind):
    layer = kind(6, 4, 3, groups=2)
    parts = [kind(3, 2, 3), kind(3, 2, 3)]
    for part, weight in zip(parts, layer.weight.chunk(2), strict=True):
        part.weight.data = weight.detach()
    torch.testing.assert_close(term(layer), term(parts[0]) + term(parts[1]))


@pytest.mark.parametrize(
    "layer", [EqualizedLinear(6, 4, learning_rate_multiplier=0.1), EqualizedConv2d(6, 4, 3)]
)
def test_equalized_layers_by_the_weights_that_are_used(layer):
    fan_in = layer.weight[0].numel()
    stored = 0.1 if isinstance(layer, EqualizedLinear) else 1.0
    used = layer.weight.flatten(1) * stored / fan_in**0.5
    torch.testing.assert_close(filters(layer)[0], used)
    torch.testing.assert_close(term(layer), overlap(used))


def test_is_the_sum_over_layers_and_leaves_out_embeddings():
    layers = [nn.Linear(5, 4), nn.Conv2d(3, 4, 2)]
    network = nn.Sequential(*layers, nn.Embedding(3, 7), nn.BatchNorm2d(4))
    expected = sum(
        (w @ w.T).fill_diagonal_(0).square().sum()
        for w in (layer.weight.detach().flatten(1) for layer in layers)
    )
    torch.testing.assert_close(term(network).detach(), expected)


def test_of_a_normalized_layer_the_weights_that_are_optimized_count():
    layer = nn.Linear(6, 4)
    plain = term(layer)
    normalize_spectrum(layer)
    vector = layer.parametrizations.weight[0]._u.clone()
    value = term(layer)
    torch.testing.assert_close(value, plain)
    assert torch.equal(layer.parametrizations.weight[0]._u, vector)  # no power iteration more
    (gradient,) = torch.autograd.grad(value, layer.parametrizations.weight.original)
    assert gradient.abs().sum() > 0


@pytest.mark.parametrize("player", ["generator", "discriminator"])
@pytest.mark.parametrize("spectral", [False, True])
def test_descent_makes_the_filters_of_dcgan_orthogonal(player, spectral):
    torch.manual_seed(0)
    kind = DCGANGenerator if player == "generator" else DCGANDiscriminator
    network = kind(16, 1, width=4, spectral_norm=spectral)
    parameters = list(network.parameters())
    for parameter in parameters:
        parameter.data *= 10
    optimizer = torch.optim.SGD(parameters, lr=0.02)
    first = term(network, player)
    for _ in range(60):
        optimizer.zero_grad()
        value = term(network, player)
        value.backward()
        optimizer.step()
    assert value.item() < 0.02 * first.item()


@pytest.mark.parametrize("player", ["generator", "discriminator"])
def test_belongs_to_its_player(player, tmp_path):
    points = games.Points()
    model = games.game(regularizers={"orthogonal": Orthogonal(1.0, player=player)})
    layers = [m for m in getattr(model, player).modules() if isinstance(m, nn.Linear)]
    expected = sum(overlap(filters(layer)) for layer in layers)
    games.fit(model, tmp_path, max_steps=1, logger=points)
    logged = {name for name in points.points[0][1] if name.endswith("orthogonal")}
    assert logged == {f"{player}/orthogonal"}
    assert points.column(f"{player}/orthogonal") == pytest.approx([expected.item()])


def test_parts_of_a_batch_make_the_same_update(tmp_path):
    after = [
        games.weights(
            games.fit(
                games.game(regularizers={"o": Orthogonal(0.1)}, accumulate=parts),
                tmp_path,
                max_steps=2,
            ).lightning_module
        )
        for parts in (1, 2)
    ]
    games.assert_close(*after, atol=1e-5)


def test_refusals():
    with pytest.raises(ConfigError, match=r"player must be one of .* got 'both'"):
        Orthogonal(player="both")
    with pytest.raises(ConfigError, match="weight"):
        Orthogonal(weight=-1)
    with pytest.raises(ConfigError, match="Embedding has no linear or convolution"):
        Orthogonal().check(nn.Embedding(2, 2))
