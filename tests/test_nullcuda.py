"""The null GPU itself: what it counts is known by hand."""

from __future__ import annotations

import json
import textwrap

import pytest

from tests.nullcuda.build import missing
from tests.nullcuda.machine import Machine

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(missing()), reason=missing())]

SCRIPT = """
    import json
    import torch
    from tests.nullcuda.counters import counts, totals

    x = torch.ones(256, 1024, device="cuda")
    net = torch.nn.Conv2d(3, 8, 3, device="cuda")
    images = torch.ones(2, 3, 8, 8, device="cuda")
    host = torch.ones(4)
    torch.cuda.synchronize()

    def counted(work):
        before = counts()
        work()
        after = counts()
        after.subtract(before)
        return {name: value for name, value in (after | totals(after)).items() if value}

    def peak(work):
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        work()
        return torch.cuda.max_memory_allocated() - before

    result = {
        "add": counted(lambda: x + 1),
        "fill": counted(lambda: x.zero_()),
        "product": counted(lambda: x @ x.T),
        "convolution": counted(lambda: net(images)),
        "read": counted(lambda: x[0, 0].item()),
        "wait": counted(torch.cuda.synchronize),
        "upload": counted(lambda: host.to("cuda")),
        "pinned": counted(lambda: host.pin_memory().to("cuda", non_blocking=True)),
        "peak": peak(lambda: x + 1),
        "devices": torch.cuda.device_count(),
    }
    try:
        x + torch.ones(1, device="cuda:1")
    except RuntimeError as error:
        result["mismatch"] = str(error)
    print(json.dumps(result))
"""


@pytest.fixture(scope="module")
def seen():
    done = Machine(devices=2).run(["python", "-c", textwrap.dedent(SCRIPT)])
    assert done.returncode == 0, done.stdout
    return json.loads(done.stdout.splitlines()[-1])


def test_operations_are_counted(seen):
    assert (seen["add"]["launches"], seen["add"]["operations"]) == (1, 1)
    assert (seen["fill"]["memset"], seen["fill"]["operations"]) == (1, 1)
    assert seen["product"]["blas"] == 1
    assert seen["convolution"]["conv"] == 1
    assert all("synchronizations" not in seen[name] for name in ("add", "product", "convolution"))


def test_waits_of_the_host_are_counted(seen):
    assert seen["read"]["device_to_host"] == seen["read"]["synchronizations"] == 1
    assert (seen["wait"]["device_synchronize"], seen["wait"]["synchronizations"]) == (1, 1)
    assert (seen["upload"]["pageable_to_device"], seen["upload"]["to_device_bytes"]) == (1, 16)
    assert seen["pinned"]["pinned_to_device"] == 1
    assert "synchronizations" not in seen["pinned"]


def test_memory_and_devices_are_those_of_gpus(seen):
    assert seen["devices"] == 2
    assert seen["peak"] == 256 * 1024 * 4
    assert "same device" in seen["mismatch"]


RECORDING = """
    import json
    import torch
    from ganforge.models.engine.recorders import CudaRecorder, Outcome, cause
    from tests.nullcuda.counters import counts

    recorder = CudaRecorder(torch.device("cuda"))
    x, generator = torch.ones(4, device="cuda"), torch.Generator("cuda").manual_seed(1)

    def drawn():
        return Outcome((x + torch.randn(4, device="cuda", generator=generator)).sum(), {})

    def read():
        return Outcome(x * x.sum().item(), {})

    def recorded(passes):
        recorder.rehearse(passes)
        before = counts()
        try:
            outcome, replay = recorder.record(passes, [generator])
        except RuntimeError as error:
            return {"error": cause(error)}
        captured = (after := counts())["captured"] - before["captured"]
        replay()
        started = counts()
        started.subtract(after)
        names = ("launches", "graph_launches")
        return {"captured": captured} | {name: started[name] for name in names}

    result = [recorded(drawn), recorded(read), recorded(drawn)]
    recorder.forget()
    print(json.dumps([*result, recorded(drawn)]))
"""


def test_recordings_count_and_those_that_wait_fail():
    done = Machine().run(["python", "-c", textwrap.dedent(RECORDING)])
    assert done.returncode == 0, done.stdout
    first, waiting, *others = json.loads(done.stdout.splitlines()[-1])
    # A draw, an addition and a sum are recorded; a replay sets the seed and the offset.
    assert first == {"captured": 3, "launches": 2, "graph_launches": 1}
    assert "not permitted when stream is capturing" in waiting["error"]
    assert others == [first, first]
