"""Blocks that are generated together are the blocks that are generated one by one."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from ganforge.models.engine import sampling
from ganforge.models.engine.sampling import blocks_at_once, sample_blocks
from ganforge.networks.stylegan2 import StyleGAN2Generator
from ganforge.streams import JoinedNoise, Noise, joined

CPU = torch.device("cpu")


def drawn(noise: Noise, labels: Tensor | None) -> Tensor:
    """Images of every kind of draw, in which each row is computed for itself."""
    first = noise.normal(1, 2, 2)
    forks = [noise.fork().normal(1, 2, 2), noise.fork().uniform(1, 2, 2)]
    rest = [noise.uniform(1, 2, 2), noise.integers(9, 1, 2, 2), noise.restarted().normal(1, 2, 2)]
    assert labels is not None
    return torch.cat([first, *forks, *rest, labels[:, None, None, None].expand_as(first)], 1)


@pytest.mark.parametrize(("start", "n"), [(0, 64), (0, 300), (70, 200), (255, 2), (256, 256)])
@pytest.mark.parametrize("own_labels", [False, True])
def test_images_do_not_depend_on_what_is_generated_together(start, n, own_labels):
    labels = torch.arange(n) * 7 % 10 if own_labels else None
    one, four, three = (
        sample_blocks(drawn, n, 5, start, labels, 10, CPU, at_once) for at_once in (1, 4, 3)
    )
    assert one.shape == (n, 7, 2, 2)
    assert torch.equal(one, four)
    assert torch.equal(one, three)
    expected = labels if labels is not None else torch.arange(start, start + n) % 10
    assert torch.equal(four[:, -1, 0, 0].long(), expected)


def test_a_generator_gives_the_same_images_up_to_rounding():
    torch.manual_seed(0)
    network = StyleGAN2Generator(16, 1, latent_dim=8, width=8, full_width=16).eval()

    def generate(noise: Noise, labels: Tensor | None) -> Tensor:
        with torch.no_grad():
            maps = [noise.normal(1, side, side) for side in network.noise_sides]
            ws = network.mapping.broadcast(network.mapping(noise.normal(8), None))
            return network.synthesize(ws, maps)

    one, four = (sample_blocks(generate, 200, 5, 3, None, 0, CPU, k) for k in (1, 4))
    assert torch.allclose(one, four, atol=1e-5)
    assert one.std() > 0.01


def test_joined_streams_split_into_their_rows():
    def parts() -> list[Noise]:
        return [Noise(seed, 3) for seed in (1, 2)]

    whole = joined(parts())
    assert whole.rows == 6
    expected = torch.cat([part.normal(4) for part in parts()])
    assert torch.equal(whole.normal(4), expected)
    pieces = joined(parts()).split(4)
    assert torch.equal(torch.cat([piece.normal(4) for piece in pieces]), expected)
    assert [piece.rows for piece in pieces] == [piece.rows for piece in Noise(0, 6).split(4)]
    single = parts()[0]
    assert joined([single]) is single
    assert isinstance(whole.fork(), JoinedNoise)


@pytest.mark.parametrize(
    ("device", "side", "memory", "expected"),
    [
        ("cpu", 32, 139, 1),
        ("mps", 32, 139, 1),
        ("cuda", 32, 139, 4),
        ("cuda", 64, 40, 4),
        ("cuda", 64, 24, 1),
        ("cuda", 128, 139, 1),
        ("cuda", None, 139, 1),
    ],
)
def test_only_small_images_on_large_gpus_are_generated_together(
    monkeypatch, device, side, memory, expected
):
    properties = SimpleNamespace(total_memory=memory * 2**30)
    monkeypatch.setattr(sampling.torch.cuda, "get_device_properties", lambda _: properties)
    generator = nn.Identity()
    if side is not None:
        generator.image_size = side
    assert blocks_at_once(generator, torch.device(device)) == expected
