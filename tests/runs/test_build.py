"""Hardware settings that depend on the model."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from ganforge.compute.hardware import Hardware
from ganforge.networks.layers.synchronized import SynchronizedBatchNorm
from ganforge.runs import build
from ganforge.runs.build import build_parts, with_layout
from tests.support import games
from tests.support.configs import tiny

CUDA = Hardware("cuda", 1, "bf16-mixed", True, True, "as requested")


@pytest.mark.parametrize(("norm", "pays"), [("none", True), ("batch", True), ("instance", False)])
def test_gpus_use_channels_last_without_instance_norm(norm, pays):
    model = games.game(**games.convolutional_players(norm))
    assert with_layout(CUDA, model).channels_last is pays
    assert with_layout(replace(CUDA, channels_last=False), model).channels_last is False
    on_cpu = replace(CUDA, accelerator="cpu")
    assert with_layout(on_cpu, model) == on_cpu


@pytest.mark.parametrize(("typed", "kept"), [("auto", False), ("true", True), ("false", False)])
def test_a_requested_layout_is_kept(monkeypatch, typed, kept):
    def on_cpu(hardware: Hardware, model: object) -> Hardware:
        return replace(hardware, channels_last=False)

    monkeypatch.setattr(build, "with_layout", on_cpu)
    cfg = tiny("model=dcgan", "trainer.precision=bf16-mixed", f"trainer.channels_last={typed}")
    parts = build_parts(cfg)
    assert parts.hardware.channels_last is kept
    assert (parts.model.memory_format == torch.channels_last) is kept


def test_warnings_about_hardware_are_logged(monkeypatch, caplog):
    warned = replace(CUDA, accelerator="cpu", precision="32-true", warnings=("bf16 is slow here",))
    monkeypatch.setattr(build.TrainerSettings, "hardware", lambda settings: warned)
    cfg = tiny("model=dcgan", "trainer.sync_batchnorm=true")
    assert build_parts(cfg).hardware.warnings == warned.warnings
    assert "bf16 is slow here" in caplog.text
    assert "trainer.sync_batchnorm=true has no effect in one process" in caplog.text


def test_a_dry_run_of_several_processes_normalizes_its_own_images():
    """It is a single process, in which there is nobody to synchronize with."""
    layer = SynchronizedBatchNorm(3)
    images = torch.randn(4, 3, 5, 5)
    assert torch.equal(layer(images), torch.nn.BatchNorm2d(3)(images))
