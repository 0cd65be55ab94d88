import pytest
import torch

from ganforge.cores import Cores
from ganforge.data import stream
from ganforge.data.prefetch import copied_ahead
from ganforge.data.sets.fake import FakeImages
from tests.data.stand_in import attach, first


def test_without_cuda_batches_are_passed_on():
    batches = iter([{"image": torch.zeros(2)}])
    assert copied_ahead(batches, torch.device("cpu")) is batches
    assert copied_ahead(batches, torch.device("mps")) is batches


@pytest.mark.parametrize("device", ["cpu", "cuda:1"])
def test_memory_is_pinned_for_the_device_of_the_run(monkeypatch, device):
    """Not for any GPU of the machine: trainer=cpu needs no CUDA context."""
    pinned, made = [], []

    class Loader(stream.DataLoader):
        def __init__(self, *given, pin_memory, **more):
            pinned.append(pin_memory)
            super().__init__(*given, **more)

    def copied(batches, to):
        made.append(to)
        return batches

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(stream, "DataLoader", Loader)
    monkeypatch.setattr(stream, "copied_ahead", copied)
    data = FakeImages(size=20, image_size=4, batch_size=4, workers=1)
    attach(data).device = torch.device(device)
    assert len(first(data, 2)) == 2
    assert pinned == [device != "cpu"]
    assert made == [torch.device(device)]


@pytest.mark.parametrize(("cores", "ranks", "workers"), [(16, 1, 16), (64, 8, 8), (96, 2, 16)])
def test_workers_follow_the_cores_of_each_process(monkeypatch, cores, ranks, workers):
    monkeypatch.setattr(Cores, "find", lambda: Cores(cores, "cores"))
    assert stream.workers_for_files(ranks) == workers
    assert stream.workers_for_files(1000) == 1
