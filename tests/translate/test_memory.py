from __future__ import annotations

import math
import os

import pytest
import torch
from torch import nn

from ganforge import main_memory
from ganforge.translate import memory
from ganforge.translate.memory import (
    SHARE,
    SLACK,
    bytes_per_pixel,
    free_bytes,
    is_out_of_memory,
    largest_side,
)

CPU = torch.device("cpu")


def test_bytes_by_hand():
    first, last = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 2, 3, padding=1)
    # At the ReLU live the image (1 float for each pixel), the convolution (4) and the ReLU (4).
    assert bytes_per_pixel(nn.Sequential(first, nn.ReLU(), last), 1, 8) == (1 + 4 + 4) * 4
    # A layer that works in place makes nothing new: at the last one live 1, 4 and 2.
    assert bytes_per_pixel(nn.Sequential(first, nn.ReLU(inplace=True), last), 1, 8) == 7 * 4


class Skip(nn.Module):
    """Keeps all its outputs until the end."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(1, 1, 1) for _ in range(5))

    def forward(self, images):
        outputs = [layer(images) for layer in self.layers]
        return torch.cat(outputs, 1)


def test_stored_activations_are_counted():
    # Not the moment at which they are put together: hooks see modules. SLACK is for that.
    assert bytes_per_pixel(Skip(), 1, 8) == (1 + 5) * 4


def test_a_network_is_left_as_it_was():
    network = nn.Sequential(nn.Conv2d(3, 1, 1), nn.BatchNorm2d(1), nn.Dropout())
    before = torch.get_rng_state(), network[1].running_mean.clone()
    bytes_per_pixel(network, 3)
    assert network.training
    assert network[2].training
    assert not network._forward_hooks
    assert torch.equal(torch.get_rng_state(), before[0])
    assert torch.equal(network[1].running_mean, before[1])
    assert all(p.grad is None for p in network.parameters())


@pytest.mark.parametrize(
    ("size", "multiple", "pixels", "side"),
    [
        ((10, 10), 1, 100, None),
        ((10, 10), 1, 99, 9),
        ((8, 100), 4, 800, None),
        ((8, 100), 4, 799, 28),
        ((512, 512), 256, 10, 256),  # less than the network takes: nothing smaller can be tried
    ],
)
def test_the_largest_square_that_fits(size, multiple, pixels, side):
    free = math.ceil(pixels * 12 * SLACK / SHARE)
    assert largest_side(*size, multiple, 12.0, free) == side


def test_out_of_memory_is_distinguished_from_other_errors():
    with pytest.raises(RuntimeError) as error:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(error.value)
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))


def test_free_memory_of_this_machine():
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert 0 < free_bytes(CPU) <= total


def test_a_container_has_its_own_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(main_memory, "_CGROUP", tmp_path)
    monkeypatch.setattr(main_memory, "_MEMINFO", tmp_path / "meminfo")
    (tmp_path / "meminfo").write_text("MemTotal: 9000 kB\nMemAvailable:    5000 kB\n")
    assert free_bytes(CPU) == 5000 * 1024
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("700\n")
    (tmp_path / "memory.stat").write_text("anon 100\ninactive_file 200\n")
    assert free_bytes(CPU) == 500
    (tmp_path / "memory.max").write_text("max\n")
    assert free_bytes(CPU) == 5000 * 1024


def test_a_system_that_says_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(main_memory, "_CGROUP", tmp_path)
    monkeypatch.setattr(main_memory, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(os, "sysconf", lambda name: {"SC_PHYS_PAGES": 10, "SC_PAGE_SIZE": 4}[name])
    assert free_bytes(CPU) == 20
    monkeypatch.delattr(os, "sysconf")
    assert free_bytes(CPU) == memory.UNKNOWN
