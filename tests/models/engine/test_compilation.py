from __future__ import annotations

import copy
import logging
import shutil

import pytest
import torch
import torch.utils.cpp_extension

from ganforge.augment.ada import ADA
from ganforge.compute.compilers import resolved_compilation
from ganforge.config.check import check
from ganforge.config.compose import compose_config
from ganforge.errors import ConfigError
from ganforge.regularizers.zero_centered import R1
from ganforge.runs.build import compile_model
from ganforge.runs.load import build
from ganforge.streams import Noise
from tests.augment.pictures import pictures
from tests.support import games, styled

CASES = {
    "plain": {},
    "penalized": {"regularizers": {"r1": R1(1.0)}},
    "lazy": {},
    "augmented": {"augment": ADA(p=0.6, speed=None)},
}


def trained(folder, name: str, backend: str | None) -> dict[str, torch.Tensor]:
    """Weights and samples after two steps."""
    if name == "lazy":  # path lengths and R1 in updates of their own, and the synthesis by itself
        model = styled.lazy(**styled.players(minibatch_stddev=0))
        data = games.images(16)
    else:
        parts = copy.deepcopy(CASES[name])
        model, data = games.game(**games.convolutional_players(), **parts), games.images(16)
    if backend is not None:
        compile_model(model, "default", backend)
    games.fit(model, folder, data, max_steps=2)
    return games.weights(model) | {"samples": model.sample(3)}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("plain", marks=pytest.mark.slow),
        "penalized",
        pytest.param("lazy", marks=pytest.mark.slow),
        pytest.param("augmented", marks=pytest.mark.slow),
    ],
)
def test_compiled_networks_train_like_those_as_written(tmp_path, name):
    torch.compiler.reset()
    plain, compiled = trained(tmp_path, name, None), trained(tmp_path, name, "aot_eager")
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] > 0
    games.assert_close(compiled, plain, atol=2e-4)
    torch.compiler.reset()


@pytest.mark.slow
def test_compiled_augmentations_change_images_alike():
    """Values and gradients, of the same draws; inductor fuses the operations."""
    assert shutil.which("g++"), "needs a C++ compiler"
    torch.compiler.reset()
    torch._dynamo.utils.counters.clear()
    plain, compiled = ADA(p=0.6), ADA(p=0.6)
    (part,) = compiled.tensor_functions()
    part.compile(fullgraph=True, dynamic=False)
    changed, slopes = [], []
    for augment in (plain, compiled):
        images = pictures(8, 3, 12).requires_grad_()
        changed.append(augment(images, Noise(2, 8)))
        slopes.append(torch.autograd.grad(changed[-1].square().sum(), images)[0])
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1
    torch.testing.assert_close(changed[1], changed[0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(slopes[1], slopes[0], atol=1e-4, rtol=1e-4)
    torch.compiler.reset()


def test_a_penalty_on_a_gradient_would_have_no_gradient_if_compiled():
    torch.compiler.reset()
    critic = games.convolutional_players()["discriminator"]
    critic.compile(backend="aot_eager")
    images = torch.randn(4, 1, 16, 16, requires_grad=True)
    (slopes,) = torch.autograd.grad(critic(images).sum(), images, create_graph=True)
    with pytest.raises(RuntimeError):
        slopes.square().sum().backward()
    torch.compiler.reset()


@pytest.mark.slow
def test_the_compiler_of_a_run_trains_alike(tmp_path):
    assert shutil.which("g++"), "needs a C++ compiler"
    torch.compiler.reset()
    plain, compiled = trained(tmp_path, "plain", None), trained(tmp_path, "plain", "inductor")
    games.assert_close(compiled, plain, atol=1e-3)
    torch.compiler.reset()


def test_the_choice_follows_the_device(monkeypatch):
    assert resolved_compilation("auto", "cpu") == "none"
    assert resolved_compilation("auto", "mps") == "none"
    assert resolved_compilation("none", "cuda") == "none"
    assert resolved_compilation(None, "cuda") == "none"
    monkeypatch.setattr("ganforge.compute.compilers.has_triton", lambda: True)
    assert resolved_compilation("auto", "cuda") == "default"
    assert resolved_compilation("max", "cuda") == "max"


def test_null_compiles_nothing():
    cfg = compose_config(["trainer.compile=null"])
    check(cfg)
    assert build(cfg.trainer).compile is None


def test_a_compiler_for_the_cpu_does_not_report_that_cuda_is_missing(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("CUDA_HOME", str(tmp_path))
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    logger = logging.getLogger(torch.utils.cpp_extension.__name__)
    monkeypatch.setattr(logger, "filters", [])
    torch.utils.cpp_extension._find_cuda_home()
    assert caplog.messages == [f"No CUDA runtime is found, using CUDA_HOME='{tmp_path}'"]
    caplog.clear()
    compile_model(games.game(**games.convolutional_players()), "default")
    torch.utils.cpp_extension._find_cuda_home()
    logger.warning("another")
    assert caplog.messages == ["another"]


def test_a_missing_compiler_is_named_before_anything_is_built(monkeypatch):
    monkeypatch.setattr("ganforge.compute.compilers.has_triton", lambda: False)
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(ConfigError, match=r"trainer.compile=max.*Triton.*trainer.compile=none"):
        resolved_compilation("max", "cuda")
    with pytest.raises(ConfigError, match=r"trainer.compile=default.*g\+\+ or clang"):
        resolved_compilation("default", "cpu")
    with pytest.raises(ConfigError, match="not one of none, auto, default, max"):
        resolved_compilation("fast", "cpu")
