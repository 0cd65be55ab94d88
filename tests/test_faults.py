from __future__ import annotations

import os
import signal
import sys
import time

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from ganforge import start
from ganforge.errors import explained


class Failing(Dataset):
    """A data set whose loader worker is killed, raises an exception or is late."""

    def __init__(self, how: str) -> None:
        self.how = how

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> int:
        if self.how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        elif self.how == "late":
            time.sleep(2)
        raise OSError("[Errno 5] Input/output error: 'x.png'")


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("killed", "a loader worker (process "),
        ("raises", "a loader worker failed: OSError: [Errno 5] Input/output error: 'x.png'"),
        pytest.param("late", "no batch arrived for 0.5 seconds", marks=pytest.mark.slow),
    ],
)
def test_failures_of_loader_workers_are_explained(how, said):
    # If another test has consumed SIGCHLD, only the timeout detects the dead worker.
    loader = DataLoader(Failing(how), num_workers=1, timeout=0.5 if how == "late" else 3)
    with pytest.raises((RuntimeError, OSError)) as caught:
        next(iter(loader))
    message = explained(caught.value)
    assert message is not None
    assert said in message
    assert "\n" not in message


def test_out_of_memory_names_what_helps():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60)
    for error in (caught.value, MemoryError(), torch.OutOfMemoryError("CUDA out of memory. Tried")):
        message = explained(error)
        assert message is not None
        assert "data.batch_size" in message
        assert "model.accumulate" in message


@pytest.mark.parametrize(
    "text",
    [
        "[../gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]:23",
        "[Rank 0] NCCL error: ncclRemoteError: remote process exited",
    ],
)
def test_a_dead_peer_is_named_as_such(text):
    message = explained(RuntimeError(text))
    assert message is not None
    assert "another process of this run ended" in message


def test_other_errors_speak_for_themselves():
    assert explained(ValueError("x")) is None
    assert explained(RuntimeError("shapes differ")) is None


def test_an_interrupt_during_imports_leaves_one_line(monkeypatch, capsys):
    class Interrupting:
        def find_spec(self, name: str, path: object, target: object = None) -> None:
            if name == "ganforge.cli":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "ganforge.cli", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Interrupting(), *sys.meta_path])
    with pytest.raises(SystemExit) as ended:
        start.main()
    assert ended.value.code == 130
    assert capsys.readouterr().err == "ganforge: interrupted\n"
