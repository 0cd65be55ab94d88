from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from unittest.mock import Mock

import pytest
import torch

from ganforge.compute.backends import backends
from ganforge.compute.hardware import Hardware, TrainerSettings
from ganforge.runs import trainer
from ganforge.runs.build import Parts
from tests.support import games

CUDNN, FILLING = torch.backends.cudnn, torch.utils.deterministic
CPU = Hardware("cpu", 1, "32-true", False, True, "as requested")


def switches() -> tuple[object, ...]:
    return (
        CUDNN.benchmark,
        CUDNN.deterministic,
        FILLING.fill_uninitialized_memory,
        torch.are_deterministic_algorithms_enabled(),
        torch.backends.cuda.matmul.allow_tf32,
        CUDNN.allow_tf32,
        os.environ.get("CUBLAS_WORKSPACE_CONFIG"),
    )


@pytest.mark.parametrize("deterministic", [True, False])
def test_a_training_leaves_the_process_as_it_was(tmp_path, deterministic):
    before = switches()
    model, data = games.game(), games.images()
    with backends(CPU, deterministic):
        run = games.trainer_for(model, data, tmp_path, max_steps=1, deterministic=deterministic)
        assert torch.are_deterministic_algorithms_enabled() is deterministic
        assert FILLING.fill_uninitialized_memory is not deterministic
        run.fit(model, data)
    assert switches() == before
    with contextlib.suppress(ZeroDivisionError), backends(CPU, deterministic):
        CUDNN.benchmark = not CUDNN.benchmark
        raise ZeroDivisionError
    assert switches() == before


@pytest.mark.parametrize(
    ("tf32", "allowed"), [("off", False), ("training", True), ("everywhere", True), (None, None)]
)
def test_tf32_is_set_where_the_device_knows_it(tf32, allowed):
    before = switches()
    with backends(replace(CPU, accelerator="cuda", tf32=tf32), deterministic=False):
        now = switches()
        assert now[4:6] == (before[4:6] if allowed is None else (allowed, allowed))
    assert switches() == before


@pytest.mark.parametrize(
    ("accelerator", "deterministic", "benchmark"),
    [("cuda", False, True), ("cuda", True, False), ("cpu", False, False)],
)
def test_cudnn_searches_its_fastest_algorithms(
    monkeypatch, tmp_path, accelerator, deterministic, benchmark
):
    made = {}
    monkeypatch.setattr(trainer, "Trainer", lambda **settings: made.update(settings) or Mock())
    settings = TrainerSettings(deterministic=deterministic)
    parts = Parts(settings, replace(CPU, accelerator=accelerator), None, None, {})
    trainer.make_trainer(parts, None, [], tmp_path)
    assert made["benchmark"] is benchmark
