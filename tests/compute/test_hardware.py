from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ganforge.compute import devices
from ganforge.compute.devices import has_native_bf16
from ganforge.compute.hardware import Hardware, TrainerSettings, choose_hardware
from ganforge.compute.idle import idle_settings
from ganforge.compute.launch import Launch
from ganforge.compute.rank_zero import _order
from ganforge.errors import ConfigError

GPUS = {  # name and compute capability
    "P100": ("Tesla P100", (6, 0)),
    "V100": ("Tesla V100", (7, 0)),
    "T4": ("Tesla T4", (7, 5)),
    "A100": ("NVIDIA A100", (8, 0)),
    "H200": ("NVIDIA H200", (9, 0)),
}


@pytest.fixture
def machine(monkeypatch):
    """Sets up the machine that torch sees."""

    def machine(*gpus: str, mps: bool = False, bf16: bool = False, driver: bool = False) -> None:
        kinds = [GPUS[gpu] for gpu in gpus]
        monkeypatch.setattr(torch.cuda, "is_available", lambda: len(gpus) > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: len(gpus))
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: kinds[index][0])
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda index: kinds[index][1])
        monkeypatch.setattr(torch.version, "hip", None)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
        monkeypatch.setattr(devices, "has_native_bf16", lambda: bf16)
        there = Path("/") if driver else Path("/does/not/exist")
        monkeypatch.setattr(devices, "DRIVER", there)

    return machine


# ---------------------------------------------------------------------- automatic choices


@pytest.mark.parametrize(
    ("gpus", "mps", "bf16", "expected"),
    [
        ([], False, False, ("cpu", "32-true", False, True, None)),
        ([], False, True, ("cpu", "bf16-mixed", True, True, None)),
        ([], True, True, ("mps", "32-true", False, True, None)),
        (["H200"], False, False, ("cuda", "bf16-mixed", True, True, "training")),
        (["H200"] * 4, False, False, ("cuda", "bf16-mixed", True, True, "training")),
        (["A100"], True, True, ("cuda", "bf16-mixed", True, True, "training")),
        # GPUs that only emulate bf16 would be slower with it; they do not know TF32 either.
        (["V100"], False, True, ("cuda", "32-true", True, True, None)),
        (["T4"], False, True, ("cuda", "32-true", True, True, None)),
    ],
)
def test_auto_takes_the_best_there_is(machine, gpus, mps, bf16, expected):
    machine(*gpus, mps=mps, bf16=bf16)
    chosen = choose_hardware()
    facts = (chosen.accelerator, chosen.precision, chosen.channels_last, chosen.fused, chosen.tf32)
    assert facts == expected
    assert chosen.processes == 1


def launch(launcher: str, per_node: int, nodes: int = 1) -> Launch:
    return Launch(launcher, 0, nodes, 0, per_node, "127.0.0.1", 29500)


@pytest.mark.parametrize(
    ("asked", "started", "expected"),
    [
        ({}, None, 1),
        ({"accelerator": "gpu"}, None, 1),
        ({"strategy": "ddp"}, None, 4),
        ({"devices": 3}, None, 3),
        ({"devices": 1, "strategy": "ddp"}, None, 1),
        ({"accelerator": "cpu", "strategy": "ddp"}, None, 1),
        ({}, launch("torchrun", 2), 2),
        ({"strategy": "ddp"}, launch("torchrun", 2), 2),
        ({}, launch("srun", 4, nodes=2), 4),
        # One task on each of several nodes starts a process for each of its GPUs.
        ({}, launch("srun", 1, nodes=2), 4),
    ],
)
def test_all_gpus_are_used_only_where_that_is_asked_for(machine, asked, started, expected):
    machine(*["A100"] * 4)
    assert choose_hardware(**asked, launch=started).devices == expected


def test_the_choice_is_described(machine):
    machine("H200")
    assert str(choose_hardware()) == (
        "cuda, bf16-mixed, channels_last, fused optimizers, TF32 in training "
        "(found NVIDIA H200; the GPU has native bf16 arithmetic)"
    )
    machine()
    assert str(choose_hardware()) == (
        "cpu, 32-true, fused optimizers (no GPU found; the CPU lacks native bf16 arithmetic)"
    )
    assert str(choose_hardware("cpu", precision="16-mixed")) == (
        "cpu, 16-mixed, channels_last (as requested)"
    )


def test_unused_gpus_are_named_with_how_to_use_them(machine):
    machine("A100", "A100")
    assert "(found NVIDIA A100; 1 of 2 GPUs: trainer=gpus uses all; " in str(choose_hardware())
    assert "(as requested; 1 of 2 GPUs: trainer=gpus uses all; " in str(choose_hardware("gpu"))
    both = choose_hardware("gpu", strategy="ddp")
    assert str(both).startswith("2 x cuda, bf16-mixed")
    assert "trainer=gpus" not in str(both)
    for chosen in (choose_hardware(devices=1), choose_hardware(launch=launch("torchrun", 1, 2))):
        assert "trainer=gpus" not in str(chosen)  # as requested, or as launched


def test_the_weakest_of_the_used_gpus_decides(machine):
    machine("H200", "V100")
    assert choose_hardware().precision == "bf16-mixed"  # the first one alone
    both = choose_hardware(devices=2)
    assert (both.precision, both.tf32) == ("32-true", None)
    assert "found NVIDIA H200 and Tesla V100; not all GPUs have native bf16" in both.reason


@pytest.mark.parametrize(("gpu", "told"), [("V100", True), ("T4", True), ("P100", False)])
def test_gpus_with_float16_tensor_cores_are_told_about_16_mixed(machine, gpu, told):
    machine(gpu)
    assert "the GPU lacks native bf16 arithmetic" in choose_hardware().reason
    assert ("trainer.precision=16-mixed is faster" in choose_hardware().reason) is told


def test_emulated_bf16_is_warned_of(machine):
    machine("V100")
    (warning,) = choose_hardware(precision="bf16-mixed").warnings
    assert "Tesla V100 can only emulate bfloat16" in warning
    assert "trainer.precision=16-mixed" in warning
    assert choose_hardware(precision="16-mixed").warnings == ()
    machine("A100")
    assert choose_hardware(precision="bf16-mixed").warnings == ()


@pytest.mark.parametrize(
    ("tf32", "precision", "where", "named"),
    [
        ("auto", "bf16-mixed", "training", "TF32 in training"),
        ("auto", "16-mixed", "training", "TF32 in training"),
        ("auto", "32-true", "off", "no TF32"),
        (True, "32-true", "everywhere", "TF32"),
        (False, "bf16-mixed", "off", "no TF32"),
    ],
)
def test_tf32_is_named(machine, tf32, precision, where, named):
    machine("A100")
    chosen = choose_hardware(precision=precision, tf32=tf32)
    assert chosen.tf32 == where
    assert f", {named} (found" in str(chosen)
    machine("T4")  # does not know it
    assert choose_hardware(precision="32-true", tf32=tf32).tf32 is None


def test_requested_values_are_kept(machine):
    machine(*["A100"] * 4)
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


@pytest.mark.parametrize(
    ("cuda", "variables", "reason"),
    [
        (None, {}, r"torch 2\.8\.0 is a build for CPUs"),
        ("12.8", {"CUDA_VISIBLE_DEVICES": ""}, "CUDA_VISIBLE_DEVICES hides all GPUs"),
        ("12.8", {"CUDA_VISIBLE_DEVICES": "-1"}, "CUDA_VISIBLE_DEVICES hides all GPUs"),
        ("12.8", {}, "supports GPUs, but: Found no NVIDIA driver on your system$"),
    ],
)
def test_a_missing_gpu_is_explained(machine, monkeypatch, cuda, variables, reason):
    def fail() -> None:
        raise RuntimeError("Found no NVIDIA driver on your system. Please check that you have one.")

    machine(driver=True)
    monkeypatch.setattr(torch.version, "cuda", cuda)
    monkeypatch.setattr(torch, "__version__", "2.8.0")
    monkeypatch.setattr(torch.cuda, "init", fail)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert re.search(reason, devices.why_no_gpu())
    with pytest.raises(ConfigError, match=rf"{reason.rstrip('$')}\. trainer=auto takes what"):
        choose_hardware("gpu")
    # With a driver, a CPU that trainer=auto takes is explained too.
    assert f"(no GPU found: {devices.why_no_gpu()}; the CPU" in str(choose_hardware())


def test_more_devices_than_there_are_are_refused(machine):
    machine("A100", "A100")
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
    monkeypatch.setattr(devices.platform, "machine", lambda: architecture)
    monkeypatch.setattr(Path, "read_text", lambda path: f"flags : {flags}\n")
    assert has_native_bf16() is native


def test_a_machine_that_tells_nothing_has_no_native_bf16(monkeypatch):
    def fail(path: Path) -> str:
        raise FileNotFoundError(path)

    monkeypatch.setattr(Path, "read_text", fail)
    assert has_native_bf16() is False


# ---------------------------------------------------------------------- trainer settings


def test_settings_choose_their_hardware(machine):
    machine("A100", "A100")
    settings = TrainerSettings(tf32=True)
    assert settings.hardware() == choose_hardware(tf32=True)
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


def test_workers_resolve_tf32_for_their_own_device(machine):
    machine("V100")
    settings = TrainerSettings(precision="16-mixed")
    order = _order(Path("run"), "", settings.hardware(), None, None)["trainer"]
    assert settings.hardware().tf32 is None
    machine("A100")
    assert TrainerSettings(**order).hardware().tf32 == "training"
    assert TrainerSettings(**order, tf32=True).hardware().tf32 == "everywhere"


def test_settings_without_effect_are_named(machine):
    def idle(**settings) -> list[str]:
        given = TrainerSettings(**settings)
        return idle_settings(given, given.hardware())

    machine()
    both = idle(tf32=True, sync_batchnorm=True)
    assert [re.match(r"(trainer\.\w+=true has no effect \S+ \S+)", one)[1] for one in both] == [
        "trainer.tf32=true has no effect on the",
        "trainer.sync_batchnorm=true has no effect in one",
    ]
    assert idle(accelerator="cpu", devices=2, sync_batchnorm=True) == []
    assert idle(tf32=False) == idle() == []
    machine("V100")
    assert "on this GPU: NVIDIA GPUs from Ampere on have TF32" in idle(tf32=True)[0]
    machine("A100")
    assert idle(tf32=True) == []
