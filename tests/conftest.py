from __future__ import annotations

import gc
import logging
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig

from ganforge import cli

# Fixtures import what takes seconds, because pytest reads this file before it starts the workers.

gc.disable()  # until everything is imported and collected, which leaves hardly any garbage

# Tests fork trainings, and a fork cannot use autograd where the process has used it on a GPU.
os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ.pop("UV_RUN_RECURSION_DEPTH", None)  # `uv run pytest`: messages would say "uv run"


class Typed:
    """The result of a command.

    Attributes:
        code: exit code.
        out: standard output.
        err: standard error.
    """

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache of classifiers and statistics, instead of the user's own."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True, scope="session")
def _no_other_cache(cache: Path) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANFORGE_CACHE", str(cache))
        patch.setenv("XDG_CONFIG_HOME", str(cache / "config"))
        yield


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """For tiny networks, synchronizing threads costs more than it saves, most on a busy machine."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def _quick_classifiers() -> Iterator[None]:
    """Trains classifiers for a fraction of the time; tests of their quality set their own."""
    from ganforge.metrics.features import classifier_training

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classifier_training, "LEAST_SEEN", 1000)
        yield


@pytest.fixture(autouse=True, scope="session")
def _quick_compositions() -> Iterator[None]:
    from tests.support.compositions import cache_compositions

    with pytest.MonkeyPatch.context() as patch:
        cache_compositions(patch)
        yield


def pytest_collection_finish() -> None:
    """Excludes what was imported and collected from garbage collection, which is then quicker."""
    gc.collect()
    gc.freeze()
    gc.enable()


def pytest_unconfigure() -> None:
    """Unfreezes these objects: nanobind would report them as leaked at exit."""
    gc.unfreeze()


@pytest.fixture
def type_in(
    tmp_path: Path,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Callable[..., Typed]]:
    """Runs `ganforge ARGUMENTS` in an empty folder, in this process."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["ganforge"])
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    monkeypatch.setenv("GANFORGE_CACHE", str(cache))
    monkeypatch.delenv("GANFORGE_DEBUG", raising=False)
    # The handler would write to the stream of an earlier test.
    monkeypatch.setattr(logging.getLogger("ganforge"), "handlers", [])

    def type_in(*arguments: str) -> Typed:
        GlobalHydra.instance().clear()
        logging.getLogger("ganforge").handlers.clear()
        capsys.readouterr()
        try:
            code = cli.run(list(arguments))
        except SystemExit as end:  # raised by argparse
            code = int(end.code or 0)
        captured = capsys.readouterr()
        return Typed(code, captured.out, captured.err)

    yield type_in
    GlobalHydra.instance().clear()
    HydraConfig.instance().cfg = None
