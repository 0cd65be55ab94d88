from __future__ import annotations

import pytest
import torch
from torch import distributed

from ganforge.errors import ConfigError
from ganforge.networks.layers.styles import Mapping
from tests.support.forking import fork, wait


def small(**changes) -> Mapping:
    torch.manual_seed(0)
    return Mapping(**{"latent_dim": 3, "w_dim": 5, "num_ws": 4, "layers": 2} | changes)


def test_it_is_the_papers_formula():
    """By hand: z / rms(z), then leaky_relu(sqrt(2 / fan_in) 0.01 W x + 0.01 b) for each layer."""
    mapping = small()
    z = torch.randn(2, 3)
    x = z / z.square().mean(dim=1, keepdim=True).sqrt()
    for layer, fan_in in zip(mapping.layers, (3, 5), strict=True):
        torch.nn.init.normal_(layer.bias)
        x = 0.01 * (2 / fan_in) ** 0.5 * x @ layer.weight.T + 0.01 * layer.bias
        x = torch.where(x > 0, x, 0.2 * x)
    torch.testing.assert_close(mapping(z), x)


def test_the_published_sizes():
    """Mapping of StyleGAN2 (official implementation): 8 layers of 512 make 2,101,248."""
    with torch.device("meta"):
        plain = Mapping(512, 512, num_ws=18)
        labelled = Mapping(512, 512, num_ws=8, layers=2, num_classes=10)
    assert sum(p.numel() for p in plain.parameters()) == 2_101_248
    # 10 x 512 + 512 of the embedding, 1024 x 512 + 512 and 512 x 512 + 512 of the layers.
    assert sum(p.numel() for p in labelled.parameters()) == 5_632 + 524_800 + 262_656


def test_styles_have_about_unit_variance_at_the_start():
    torch.manual_seed(0)
    w = Mapping(256, 256, num_ws=1, layers=4)(torch.randn(256, 256))
    # The mean square that He's gain keeps: 2 (1 + 0.2^2) / 2 for each layer.
    assert w.square().mean().item() == pytest.approx(1.04**4, rel=0.2)


def test_labels_go_through_a_normalized_embedding():
    mapping = small(num_classes=2)
    z = torch.randn(2, 3)
    same, other = mapping(z, torch.tensor([0, 0])), mapping(z, torch.tensor([0, 1]))
    assert torch.equal(same[0], other[0])
    assert not torch.allclose(same[1], other[1])
    with torch.no_grad():
        mapping.embedding.weight.mul_(7)
    torch.testing.assert_close(mapping(z, torch.tensor([0, 1])), other)  # its length is lost
    with pytest.raises(ConfigError, match="needs the labels"):
        mapping(z)


def test_it_stays_in_float32_under_autocast():
    mapping = small()
    z = torch.randn(2, 3)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(mapping(z), mapping(z.float()))
        assert mapping(z).dtype == torch.float32


# ---------------------------------------------------------------------- truncation


def test_truncation_leads_to_the_mean():
    mapping = small()
    w, mean = torch.randn(2, 5), torch.randn(5)
    mapping.w_mean.copy_(mean)
    assert torch.equal(mapping.broadcast(w), w[:, None].expand(2, 4, 5))
    assert torch.equal(mapping.broadcast(w, truncation=1), mapping.broadcast(w))
    assert torch.equal(mapping.broadcast(w, truncation=0), mean.expand(2, 4, 5))
    half = mapping.broadcast(w, truncation=0.5)
    torch.testing.assert_close(half[1, 3], mean + 0.5 * (w[1] - mean))


def test_truncation_stops_at_the_cutoff():
    mapping = small()
    w = torch.randn(2, 5)
    ws = mapping.broadcast(w, truncation=0, cutoff=3)
    assert torch.equal(ws[:, :3], mapping.w_mean.expand(2, 3, 5))
    assert torch.equal(ws[:, 3], w)


def test_styles_of_single_layers_are_truncated_each():
    mapping = small()
    ws = torch.randn(2, 4, 5)
    torch.testing.assert_close(mapping.broadcast(ws, truncation=0.25), 0.25 * ws)  # mean 0
    assert torch.equal(mapping.broadcast(ws), ws)


# ---------------------------------------------------------------------- the mean


def test_the_mean_moves_by_its_decay():
    mapping = small(w_mean_decay=0.75)
    mapping.w_mean.fill_(8.0)
    mapping.track(torch.stack([torch.zeros(5), torch.full((5,), 8.0)]))
    assert mapping.w_mean.tolist() == [0.75 * 8 + 0.25 * 4] * 5


def test_the_mean_comes_to_that_of_the_styles():
    mapping = small(w_mean_decay=0.9)
    w = mapping(torch.randn(64, 3)).detach()
    for _ in range(200):
        mapping.track(w)
    torch.testing.assert_close(mapping.w_mean, w.mean(dim=0))


def test_the_mean_is_that_of_all_processes(tmp_path):
    w = torch.arange(20.0).view(4, 5)

    def track(rank: int) -> None:
        address = f"file://{tmp_path / 'address'}"
        distributed.init_process_group("gloo", init_method=address, rank=rank, world_size=2)
        mapping = small(w_mean_decay=0.5)
        mapping.track(w[:1] if rank == 0 else w[1:])  # even of processes with unequal shares
        torch.save(mapping.w_mean, tmp_path / f"{rank}.pt")

    processes = [fork(lambda rank=rank: track(rank)) for rank in (0, 1)]
    assert [wait(process) for process in processes] == [0, 0]
    means = [torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1)]
    assert torch.equal(means[0], means[1])
    torch.testing.assert_close(means[0], 0.5 * w.mean(dim=0))


def test_the_mean_is_part_of_the_state_and_gets_no_gradient():
    mapping = small()
    mapping.track(mapping(torch.randn(4, 3)))
    assert not mapping.w_mean.requires_grad
    assert torch.equal(mapping.state_dict()["w_mean"], mapping.w_mean)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers": 0}, "layers must be at least 1, got 0"),
        ({"w_mean_decay": 1.0}, r"w_mean_decay must be in \[0, 1\), got 1.0"),
        ({"learning_rate_multiplier": 0.0}, "learning_rate_multiplier must be above 0"),
    ],
)
def test_nonsense_is_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        small(**changes)
