from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import ganforge
from ganforge.commands.train import train
from ganforge.config.compose import compose_config
from ganforge.errors import DamagedError, RunError
from ganforge.runs.load import read_config
from ganforge.runs.stored.lone_checkpoint import (
    LoneCheckpoint,
    as_config,
    find_trained,
    refuse_resuming,
)

TINY = [
    "model=gan",
    "network=mlp",
    "network.generator.hidden=[4]",
    "network.discriminator.hidden=[4]",
    "data=fake",
    "data.size=16",
    "data.batch_size=4",
    "data.image_size=8",
    "data.channels=1",
    "trainer=cpu",
    "trainer.precision=32-true",
    "trainer.max_steps=3",
    "callbacks.checkpoints.every_n_steps=2",
    "metrics=[]",
    "logger=csv",
    "~callbacks.samples",
    "~callbacks.progress",
]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    train(compose_config([*TINY, f"run_dir={folder}"]))
    return folder


@pytest.fixture
def last(run: Path) -> Path:
    return run / "checkpoints" / "last.ckpt"


def images(where: Path) -> torch.Tensor:
    return ganforge.load(where).sample(4, seed=1)


PLACES = {  # where a copy of last.ckpt is, what is named, and what outputs are named after
    "a file": ("model.ckpt", "model.ckpt", "model"),
    "an artifact": ("checkpoint-ab12:v0/last.ckpt", "checkpoint-ab12:v0", "checkpoint-ab12:v0"),
    "a file of an artifact": ("art:v1/last.ckpt", "art:v1/last.ckpt", "art:v1"),
    "a folder of one": ("some/best-of-all.ckpt", "some", "best-of-all"),
    "a folder of checkpoints": ("checkpoints/last.ckpt", "checkpoints", None),
    "a run without its configuration": ("old/checkpoints/last.ckpt", "old", "old"),
}


@pytest.mark.parametrize("name", list(PLACES))
def test_a_single_checkpoint_is_a_model(
    run: Path, last: Path, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, named, called = PLACES[name]
    monkeypatch.chdir(tmp_path)
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(last, file)
    assert torch.equal(images(Path(named)), images(run))
    found = find_trained(named, tmp_path)
    assert isinstance(found, LoneCheckpoint)
    assert found.path.parent == tmp_path
    assert called in (None, found.path.name)


def test_a_link_to_a_file_of_another_name_is_followed(
    run: Path, last: Path, tmp_path: Path
) -> None:
    shutil.copy(last, tmp_path / "0a1b2c")
    (tmp_path / "model.ckpt").symlink_to("0a1b2c")
    assert torch.equal(images(tmp_path / "model.ckpt"), images(run))


def test_a_runs_own_checkpoints_are_read_with_its_folder(run: Path, last: Path) -> None:
    for where in (run, last, last.parent):
        found = find_trained(str(where), Path())
        assert not isinstance(found, LoneCheckpoint)
        assert found.path == run


def test_the_stored_configuration_is_the_runs(run: Path, last: Path, tmp_path: Path) -> None:
    shutil.copy(last, tmp_path / "model.ckpt")
    lone = read_config(find_trained(str(tmp_path / "model.ckpt"), Path()))
    whole = read_config(find_trained(str(run), Path()))
    assert {"seed", "data", "model", "metrics", "features"} <= set(lone)
    assert all(lone[key] == whole[key] for key in lone)


def test_an_unresolved_configuration_of_an_earlier_version_is_read(
    run: Path, last: Path, tmp_path: Path
) -> None:
    old = torch.load(last, weights_only=True)
    del old["resolved"]
    torch.save(old, tmp_path / "old.ckpt")
    assert torch.equal(images(tmp_path / "old.ckpt"), images(run))


def test_verbs_accept_a_single_checkpoint(
    type_in: Callable[..., Any], last: Path, tmp_path: Path
) -> None:
    shutil.copy(last, tmp_path / "model.ckpt")
    done = type_in("sample", "run=model.ckpt", "n=4")
    assert done.code == 0
    assert "model/samples/sample-s0-n4.png" in done.out
    assert list((tmp_path / "model/samples").iterdir())
    judged = type_in("evaluate", "run=model.ckpt", "metrics=[prdc]", "n=8", "features=module",
                     "features.module=torch.nn.Flatten", "features.size=8")  # fmt: skip
    assert judged.code == 0, judged.err
    assert '"checkpoint":' in (tmp_path / "model/evaluation.json").read_text()
    resumed = type_in("train", "resume=model.ckpt", "trainer.max_steps=9")
    assert resumed.code == 1
    assert "without the folder of its run" in resumed.err


def test_only_single_checkpoints_cannot_be_resumed(last: Path, tmp_path: Path) -> None:
    shutil.copy(last, tmp_path / "model.ckpt")
    refuse_resuming(str(last))
    refuse_resuming(str(last.parent.parent))
    with pytest.raises(RunError, match="without the folder"):
        refuse_resuming(str(tmp_path / "model.ckpt"))


def bomb() -> dict[str, Any]:
    values: Any = [0] * 10
    for _ in range(12):
        values = [values] * 10
    return {"seed": values}


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        ({"seed": "${"}, "cannot be read"),
        ({"seed": b"bytes", "data": object()}, "cannot be read"),
        (bomb(), "over 100,000 values"),
    ],
)
def test_odd_configurations_are_refused(stored: dict[str, Any], said: str) -> None:
    with pytest.raises(DamagedError, match=rf"x.ckpt: .*{said}"):
        as_config(stored, Path("x.ckpt"))


@pytest.mark.parametrize("entry", ["config", "resolved"])
def test_a_strangers_checkpoint_builds_nothing_of_its_own(
    last: Path, tmp_path: Path, entry: str
) -> None:
    hostile = torch.load(last, weights_only=True)
    config = hostile.pop("resolved")
    target = str(tmp_path / "made")
    config["model"] = {"_target_": "os.mkdir", "path": target}
    torch.save(hostile | {entry: config}, tmp_path / "x.ckpt")
    with pytest.raises(RunError, match=r"x\.ckpt"):
        ganforge.load(tmp_path / "x.ckpt")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("kept", [{}, {"config": {}}, {"config": {"seed": 1}}, {"resolved": [1]}])
def test_a_checkpoint_without_a_configuration_says_so(
    last: Path, tmp_path: Path, kept: dict[str, Any]
) -> None:
    old = torch.load(last, weights_only=True)
    for name in ("resolved", "config"):
        del old[name]
    torch.save(old | kept, tmp_path / "x.ckpt")
    with pytest.raises(RunError, match=r"x.ckpt: .*configuration"):
        ganforge.load(tmp_path / "x.ckpt")


def test_a_folder_of_checkpoints_falls_back_too(
    run: Path, last: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    copied = tmp_path / "checkpoints"
    shutil.copytree(last.parent, copied)
    (copied / "last.ckpt").write_bytes(last.read_bytes()[:-500])
    model = ganforge.load(copied)
    assert model.iteration == 2
    assert "last.ckpt" in caplog.text
    assert "previous.ckpt" in caplog.text
