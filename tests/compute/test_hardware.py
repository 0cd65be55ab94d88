from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ganforge.compute import hardware
from ganforge.compute.hardware import Hardware, TrainerSettings, choose_hardware, has_native_bf16
from ganforge.errors import ConfigError


@pytest.fixture
def machine(monkeypatch):
    """Sets up the machine that torch sees."""

    def machine(gpus: int = 0, mps: bool = False, bf16: bool = False) -> None:
        def supports_bf16(including_emulation: bool = True) -> bool:
            return bf16 or including_emulation

        monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Brand X")
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", supports_bf16)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
        monkeypatch.setattr(hardware, "has_native_bf16", lambda: bf16)

    return machine


# ---------------------------------------------------------------------- automatic choices


@pytest.mark.parametrize(
    ("gpus", "mps", "bf16", "expected"),
    [
        (0, False, False, ("cpu", 1, "32-true", False, True)),
        (0, False, True, ("cpu", 1, "bf16-mixed", True, True)),
        (0, True, True, ("mps", 1, "32-true", False, True)),
        (1, False, True, ("cuda", 1, "bf16-mixed", True, True)),
        (4, False, True, ("cuda", 4, "bf16-mixed", True, True)),
        (1, True, True, ("cuda", 1, "bf16-mixed", True, True)),
        # A GPU that only emulates bf16 would be slower with it.
        (1, False, False, ("cuda", 1, "32-true", True, True)),
    ],
)
def test_auto_takes_the_best_there_is(machine, gpus, mps, bf16, expected):
    machine(gpus, mps, bf16)
    chosen = choose_hardware()
    facts = (chosen.accelerator, chosen.devices, chosen.precision)
    assert (*facts, chosen.channels_last, chosen.fused) == expected


def test_the_choice_is_described(machine):
    machine(gpus=2, bf16=True)
    assert str(choose_hardware()) == (
        "2 x cuda, bf16-mixed, channels_last, fused optimizers "
        "(found Brand X; the GPU has native bf16 arithmetic)"
    )
    machine()
    assert str(choose_hardware()) == (
        "cpu, 32-true, fused optimizers (no GPU found; the CPU lacks native bf16 arithmetic)"
    )
    assert str(choose_hardware("cpu", precision="16-mixed")) == (
        "cpu, 16-mixed, channels_last (as requested)"
    )


def test_requested_values_are_kept(machine):
    machine(gpus=4, bf16=True)
    asked = choose_hardware("cpu", 2, "ddp", "32-true", channels_last=True, fused=False)
    assert asked == Hardware("cpu", 2, "32-true", True, False, "as requested")
    assert choose_hardware("gpu", 3).devices == 3
    assert choose_hardware("gpu", 1, precision="16-mixed").fused is False
    assert choose_hardware("gpu", 1, precision="bf16-mixed", fused=True).fused is True
    assert choose_hardware(channels_last=False).channels_last is False


def test_gpu_means_mps_where_that_is_the_gpu(machine):
    machine(mps=True)
    assert choose_hardware("gpu").accelerator == "mps"
    assert choose_hardware("mps").precision == "32-true"


# ---------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"accelerator": "gpu"}, "trainer.accelerator=gpu.*no GPU"),
        ({"accelerator": "cuda"}, "trainer.accelerator=cuda.*no GPU"),
        ({"accelerator": "mps"}, "trainer.accelerator=mps.*no MPS device"),
        ({"accelerator": "tpu"}, "trainer.accelerator='tpu'.*auto, cpu, gpu, cuda, mps"),
        ({"precision": "64-true"}, "trainer.precision='64-true'.*32-true, bf16-mixed, 16-mixed"),
        ({"strategy": "fsdp"}, "trainer.strategy='fsdp' is not supported; legal: auto, ddp"),
        ({"strategy": "deepspeed"}, "cannot freeze one player"),
        ({"strategy": "ddp_spawn"}, "cannot hand the players"),
        ({"devices": 0}, "trainer.devices must be a number from 1 or auto, got 0"),
        ({"devices": -1}, "got -1"),
        ({"devices": "two"}, "got 'two'"),
        ({"devices": True}, "got True"),
    ],
)
def test_impossible_values_are_rejected(machine, asked, message):
    machine()
    with pytest.raises(ConfigError, match=message):
        choose_hardware(**asked)


def test_more_devices_than_there_are_are_refused(machine):
    machine(gpus=2)
    with pytest.raises(ConfigError, match=r"trainer\.devices=3, but this machine has 2 of cuda"):
        choose_hardware("gpu", 3)
    machine(mps=True)
    with pytest.raises(ConfigError, match=r"trainer\.devices=2, but this machine has 1 of mps"):
        choose_hardware("mps", 2)


def test_mps_has_no_gradient_scaler(machine):
    machine(mps=True)
    with pytest.raises(ConfigError, match="16-mixed needs a gradient scaler"):
        choose_hardware(precision="16-mixed")


# ---------------------------------------------------------------------- the processor


@pytest.mark.parametrize(
    ("architecture", "flags", "native"),
    [
        ("x86_64", "fpu sse2 avx2 avx512f", False),
        ("x86_64", "fpu avx512f avx512_bf16", True),
        ("AMD64", "fpu amx_bf16", True),
        ("x86_64", "fpu bf16", False),
        ("aarch64", "fp asimd bf16", True),
        ("aarch64", "fp asimd", False),
    ],
)
def test_native_bf16_is_read_from_the_processors_flags(monkeypatch, architecture, flags, native):
    monkeypatch.setattr(hardware.platform, "machine", lambda: architecture)
    monkeypatch.setattr(Path, "read_text", lambda path: f"flags : {flags}\n")
    assert has_native_bf16() is native


def test_a_machine_that_tells_nothing_has_no_native_bf16(monkeypatch):
    def fail(path: Path) -> str:
        raise FileNotFoundError(path)

    monkeypatch.setattr(Path, "read_text", fail)
    assert has_native_bf16() is False


# ---------------------------------------------------------------------- trainer settings


def test_settings_choose_their_hardware(machine):
    machine(gpus=2, bf16=True)
    settings = TrainerSettings()
    assert settings.hardware() == choose_hardware()
    single = replace(settings, accelerator="cpu", devices=1, precision="bf16-mixed")
    assert single.hardware() == choose_hardware("cpu", 1, precision="bf16-mixed")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"max_steps": 0}, "trainer.max_steps must be at least 1, or -1; got 0"),
        ({"max_steps": -2}, "got -2"),
        ({"max_steps": -1}, "never ends: give trainer.max_seconds"),
        ({"max_seconds": 0}, "trainer.max_seconds must be above 0, got 0"),
        ({"max_seconds": float("nan")}, "trainer.max_seconds must be above 0, got nan"),
        ({"log_every_n_steps": 0}, "trainer.log_every_n_steps must be at least 1, got 0"),
    ],
)
def test_settings_refuse_what_makes_no_sense(values, message):
    with pytest.raises(ConfigError, match=message):
        TrainerSettings(**values)


def test_a_run_may_be_limited_only_by_time():
    assert TrainerSettings(max_steps=-1, max_seconds=10).max_seconds == 10
