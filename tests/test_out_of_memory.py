from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from ganforge.callbacks.evaluation import attempted
from ganforge.commands.fit import memory_advice
from ganforge.compute.hardware import Hardware, TrainerSettings
from ganforge.errors import DataError, MemoryLimitError, explained
from ganforge.out_of_memory import explaining_memory
from ganforge.runs.build import Parts
from tests.support import games

CPU = torch.device("cpu")
GIB = 2**30
CUDA_TEXT = (
    "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.15 GiB of "
    "which 1.00 GiB is free. Including non-PyTorch memory, this process has 78 GiB memory in use."
)


@pytest.fixture
def gpu(monkeypatch) -> torch.device:
    """A GPU of 79 GiB, of which a process has used up to 78."""
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 78 * GIB)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA A100")
    properties = SimpleNamespace(total_memory=79 * GIB)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)
    return torch.device("cuda")


def test_the_message_names_the_peak_and_the_advice(gpu):
    with pytest.raises(MemoryLimitError) as caught, explaining_memory(gpu, "Take less."):
        raise torch.OutOfMemoryError(CUDA_TEXT)
    assert str(caught.value) == (
        "out of memory on NVIDIA A100 (79.0 GiB, of which tensors took at most 78.0): "
        "CUDA out of memory. Tried to allocate 2.00 GiB. Take less."
    )
    assert explained(caught.value) is None  # its own message is enough
    assert isinstance(caught.value.__cause__, torch.OutOfMemoryError)


def test_memory_of_the_failed_step_is_freed():
    freed = []

    class Activation:
        def __del__(self) -> None:
            freed.append(True)

    def step() -> None:
        activation = Activation()
        torch.empty(2**60)
        del activation

    lacking = pytest.raises(MemoryLimitError, match=r"out of memory: .*llocate")
    with lacking, explaining_memory(CPU, ""):
        step()
    assert freed


def test_other_errors_and_nested_explanations_pass():
    for error in (ValueError("x"), DataError("out of memory"), MemoryLimitError("inner")):
        with pytest.raises(type(error)) as caught, explaining_memory(CPU, "outer"):
            raise error
        assert caught.value is error
    worker = RuntimeError("Caught MemoryError in DataLoader worker process 0.\nout of memory")
    with pytest.raises(RuntimeError, match="DataLoader"), explaining_memory(CPU, ""):
        raise worker


@pytest.mark.parametrize(
    ("batch", "accumulate", "processes", "expected"),
    [
        (64, 1, 1, r"data\.batch_size=64 with model\.accumulate=1 computes 64 .*accumulate=2 "),
        (64, 4, 2, r"accumulate=4 computes 8 images at a time on each device\. .*accumulate=8 "),
        (6, 4, 1, r"computes 2 images.*model\.accumulate=6 computes fewer"),
        (2, 2, 1, r"computes 1 image at a time on each device: make the networks or data\.image"),
    ],
)
def test_training_is_advised_to_accumulate(batch, accumulate, processes, expected):
    model, data = games.game(accumulate=accumulate), games.images(batch_size=batch)
    hardware = Hardware("cpu", processes, "32-true", False, True, "")
    parts = Parts(TrainerSettings(), hardware, data, model, {})
    lacking = pytest.raises(MemoryLimitError, match=expected)
    with lacking, explaining_memory(CPU, memory_advice(parts)):
        torch.empty(2**60)


def test_sampling_says_that_the_batch_does_not_matter(monkeypatch):
    model = games.game()
    monkeypatch.setattr(model, "generate", lambda *inputs: torch.empty(2**60))
    with pytest.raises(MemoryLimitError, match=r"generated 64 at a time.*a device with more"):
        model.sample(2)


def test_an_evaluation_says_what_it_lacked(caplog):
    def compute():
        raise torch.OutOfMemoryError(CUDA_TEXT)

    assert attempted(compute, world=1, step=3) == {}
    assert "NO SCORES AT STEP 3" in caplog.text
    assert "evaluate with a smaller batch_size" in caplog.text
