"""Whether a GPU trains every model, resumes and replays exactly, and computes like the CPU."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor

import ganforge
from ganforge.models.engine.adversarial import AdversarialModule
from ganforge.models.translation import TranslationModel
from ganforge.runs.load import build_model
from ganforge.streams import Noise
from gpu_items.journal import Facts, Job
from gpu_items.trainings import (
    PRECISIONS,
    models,
    overrides_of,
    resume,
    run_folder,
    train,
    weights,
)

TOLERANCE = 1e-4  # of the largest absolute value, in float32 without TF32

# Ten steps of Adam at DCGAN's rate, 2e-4. After ten steps of the second half, another precision has
# moved 0.5 % of the weights further away, and moments that belong to other weights 30 % (on a CPU).
OFF = 2e-3
MOST_OFF = 0.05

# Models whose steps differ most: plain, penalties, spectral norm, second derivatives of grouped
# convolutions, pools of images, adaptive augmentation.
EXACT = {
    "dcgan": (),
    "wgan_gp": (),
    "sngan": (),
    "r3gan": (),
    "cyclegan": (),
    "stylegan2": ("augment=ada", "augment.p=0.3"),
}
# Name: settings of the first and of the second half.
CHANGES = {
    "16-mixed to bf16-mixed": ("trainer.precision=16-mixed", "trainer.precision=bf16-mixed"),
    "bf16-mixed to 16-mixed": ("trainer.precision=bf16-mixed", "trainer.precision=16-mixed"),
    "bf16-mixed to 32-true": ("trainer.precision=bf16-mixed", "trainer.precision=32-true"),
    "NCHW to channels_last": ("trainer.channels_last=false", "trainer.channels_last=true"),
    "channels_last to NCHW": ("trainer.channels_last=true", "trainer.channels_last=false"),
    "unfused to fused": ("trainer.fused=false", "trainer.fused=true"),
    "fused to unfused": ("trainer.fused=true", "trainer.fused=false"),
}


# ---------------------------------------------------------------------- correct


def correct(steps: int = 50) -> list[Job]:
    """Returns a job for each model and precision: finite weights after some steps and a resume."""
    return [
        Job(f"{model} {precision}", partial(_trains, model, precision, steps))
        for precision in PRECISIONS
        for model in models()
    ]


def _trains(model: str, precision: str, steps: int) -> Facts:
    settings = [f"trainer.precision={precision}", "trainer.log_every_n_steps=10"]
    with run_folder() as folder:
        train([*overrides_of(model), *settings], folder, steps)
        finite = _is_finite(weights(folder))
        resume(folder, steps + 5)
        resumed = _is_finite(weights(folder))
    peak = torch.cuda.max_memory_allocated() >> 20
    return {"passed": finite and resumed, "finite": finite, "resumed": resumed, "peak_mib": peak}


def _is_finite(state: dict[str, Tensor]) -> bool:
    return all(bool(v.isfinite().all()) for v in state.values() if v.is_floating_point())


# ---------------------------------------------------------------------- resume


def resumes(steps: int = 20) -> list[Job]:
    """Returns jobs that compare a run in two halves with one in one piece."""
    exact = [
        Job(f"{model}, deterministic", partial(_resumes_exactly, model, settings, steps))
        for model, settings in EXACT.items()
    ]
    changes = [
        Job(f"dcgan, {name}", partial(_resumes_changed, first, second, steps))
        for name, (first, second) in CHANGES.items()
    ]
    usual = [
        Job(f"{model}, default", partial(_resumes, model, (), steps))
        for model in ("dcgan", "stylegan2")
    ]
    return [*exact, *changes, *usual]


def _resumes_exactly(model: str, settings: Sequence[str], steps: int) -> Facts:
    facts = _resumes(model, [*settings, "trainer.deterministic=true"], steps)
    return {"passed": facts["bit_equal"]} | facts


def _resumes(model: str, settings: Sequence[str], steps: int) -> Facts:
    """Compares the weights of both; without deterministic algorithms they may differ a little."""
    with run_folder() as whole, run_folder() as halves:
        train([*overrides_of(model), *settings], whole, steps)
        train([*overrides_of(model), *settings], halves, steps // 2)
        resume(halves, steps)
        return _differences(weights(whole), weights(halves))


def _resumes_changed(first: str, second: str, steps: int) -> Facts:
    """Changes a setting of the hardware at the resume; compares with a run that keeps the first."""
    with run_folder() as whole, run_folder() as halves:
        train([*overrides_of("dcgan"), first], whole, steps)
        train([*overrides_of("dcgan"), first], halves, steps // 2)
        resume(halves, steps, [second])
        facts = _differences(weights(whole), weights(halves))
    return {"passed": facts["off"] < MOST_OFF} | facts


def _differences(first: dict[str, Tensor], second: dict[str, Tensor]) -> Facts:
    # Counters such as num_batches_tracked are integers; running statistics follow the weights.
    names = [name for name, value in first.items() if value.is_floating_point()]
    gaps = torch.cat(
        [
            (first[name].double() - second[name].double()).abs().flatten()
            for name in names
            if "running_" not in name
        ]
    )
    return {
        "bit_equal": all(torch.equal(first[name], second[name]) for name in names),
        "largest": float(gaps.max()),
        "off": round(float((gaps > OFF).double().mean()), 4),
    }


# ---------------------------------------------------------------------- replay


def replays(steps: int = 24) -> list[Job]:
    """Returns jobs that compare weights after replayed updates with those of the program."""
    return [
        Job(model, partial(_replays, model, settings, steps)) for model, settings in EXACT.items()
    ]


def _replays(model: str, settings: Sequence[str], steps: int) -> Facts:
    fixed = [*overrides_of(model), *settings, "trainer.deterministic=true"]
    with run_folder() as written, run_folder() as replayed:
        train([*fixed, "trainer.cuda_graphs=false"], written, steps)
        train([*fixed, "trainer.cuda_graphs=true"], replayed, steps)
        facts = _differences(weights(written), weights(replayed))
    return {"passed": facts["bit_equal"]} | facts


# ---------------------------------------------------------------------- equal


def equal() -> list[Job]:
    """Returns a job for each model: images of the CPU and of the GPU for the same draws."""
    return [Job(model, partial(_equals, model)) for model in models()]


def _equals(name: str) -> Facts:
    settings = overrides_of(name)
    if name == "pix2pix":  # dropout draws from the generator of the device, also here
        settings.append("network.generator.dropout=0")
    model = build_model(ganforge.compose_config(settings)).eval()
    with _without_tf32(), torch.no_grad():
        expected, found = (_images(model, device).cpu() for device in ("cpu", "cuda"))
    largest, scale = float((expected - found).abs().max()), float(expected.abs().max())
    return {"passed": largest <= TOLERANCE * scale, "largest": largest, "scale": scale}


def _images(model: AdversarialModule, device: str) -> Tensor:
    """Returns images of a copy of the model on a device."""
    copied = copy.deepcopy(model).to(device)
    if isinstance(copied, TranslationModel):
        channels = copied.translator(weights="raw").in_channels
        inputs = torch.rand(2, channels, 64, 64, generator=torch.Generator().manual_seed(1))
        return copied.translate(inputs.to(device), weights="raw")
    labels = torch.arange(8, device=device) % model.num_classes if model.num_classes else None
    return copied.generate(copied.generator, Noise(7, 8, device, portable=True), labels)


@contextmanager
def _without_tf32() -> Iterator[None]:
    """Computes products and convolutions of float32 in full precision."""
    cudnn, products = torch.backends.cudnn, torch.backends.cuda.matmul
    cudnn.allow_tf32 = products.allow_tf32 = False
    try:
        yield
    finally:
        cudnn.allow_tf32 = True  # the defaults of PyTorch
        products.allow_tf32 = False
