from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

import ganforge
from ganforge.callbacks.samples import Samples
from ganforge.commands.train import train
from ganforge.config.command import Command
from ganforge.config.compose import compose_config
from ganforge.errors import ConfigError, RunError
from ganforge.runs.folder import RunFolder
from ganforge.runs.load import load_run_data
from tests.support.trainings import SMALL, run_of


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[Path, dict[str, torch.Tensor]]:
    """A run, and images that its model made when training ended."""
    folder = tmp_path_factory.mktemp("logs")
    made: dict[str, torch.Tensor] = {}

    def keep(self, trainer, pl_module) -> None:
        pl_module.train()
        for weights in ("ema", "raw"):
            made[weights] = pl_module.sample(8, seed=9, weights=weights)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Samples, "on_train_end", keep)
        train(compose_config([*SMALL, f"log_dir={folder / 'run'}"]))
    return run_of(folder, "run"), made


@pytest.fixture
def run(trained, tmp_path) -> Path:
    """A copy of the run that a test may damage."""
    return Path(shutil.copytree(trained[0], tmp_path / "run"))


def test_a_loaded_model_makes_the_images_of_the_trained_one(trained):
    path, made = trained
    model = ganforge.load(path)
    assert not model.training
    assert (model.iteration, model.images_seen) == (11, 88)
    for weights, images in made.items():
        assert torch.equal(model.sample(8, seed=9, weights=weights), images)
    assert not torch.equal(made["ema"], made["raw"])


def test_a_run_may_be_moved_and_named_in_any_way(run, trained, monkeypatch):
    _, made = trained
    monkeypatch.chdir(run.parent)
    for name in (run, str(run), "run", "run/checkpoints/last.ckpt"):
        assert torch.equal(ganforge.load(name).sample(8, seed=9), made["ema"])
    log_dir = trained[0].parent.parent.parent
    assert torch.equal(ganforge.load("latest", log_dir=log_dir).sample(8, seed=9), made["ema"])


def test_every_checkpoint_kept_can_be_loaded(trained):
    steps = {
        kind: ganforge.load(trained[0], kind).iteration for kind in ("last", "previous", "best")
    }
    assert (steps["last"], steps["previous"]) == (11, 9)
    assert steps["best"] in (4, 8, 11)
    named = trained[0] / "checkpoints" / "previous.ckpt"
    assert ganforge.load(named).iteration == 9


def test_loading_does_not_change_the_random_state(trained):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    ganforge.load(trained[0])
    assert torch.equal(torch.rand(3), expected)


def test_its_data_are_the_runs_own(trained):
    data = load_run_data(RunFolder(trained[0]), Command())
    assert (data.name, data.image_size, data.size()) == ("digits", 16, 50)


def test_another_architecture_is_refused_by_its_first_difference(run):
    config = run / "config.yaml"
    config.write_text(config.read_text().replace("width: 4", "width: 8"))
    with pytest.raises(RunError, match=r"another architecture: average\.module\S* is \(\d.* here"):
        ganforge.load(run)


def test_a_missing_part_is_named_too(run):
    config = run / "config.yaml"
    config.write_text(config.read_text().replace("attention: []", "attention: [8]"))
    with pytest.raises(RunError, match=r"is absent there|absent here"):
        ganforge.load(run)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:1000])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def strange(path: Path) -> None:
    torch.save({"state_dict": {"weight": torch.ones(1)}}, path)


def not_a_number(path: Path) -> None:
    state = torch.load(path, weights_only=True)
    next(iter(state["state_dict"].values())).view(-1)[0] = torch.nan
    torch.save(state, path)


def flip(path: Path) -> None:
    whole = bytearray(path.read_bytes())
    weight = next(iter(torch.load(path, weights_only=True)["state_dict"].values()))
    whole[whole.index(weight.numpy().tobytes())] ^= 4
    path.write_bytes(whole)


@pytest.mark.parametrize("damage", [cut, empty, strange, not_a_number, flip])
def test_a_damaged_checkpoint_gives_way_to_the_one_before_it(run, caplog, damage):
    last, previous = (run / "checkpoints" / f"{kind}.ckpt" for kind in ("last", "previous"))
    damage(last)
    assert ganforge.load(run).iteration == 9
    assert str(last) in caplog.text
    assert f"using {previous}" in caplog.text
    with pytest.raises(RunError, match=r"last\.ckpt.*; try .*previous\.ckpt"):
        ganforge.load(last)
    damage(previous)
    with pytest.raises(RunError, match=r"(?s)last\.ckpt.*previous\.ckpt"):
        ganforge.load(run)
    assert ganforge.load(run, "best").iteration in (4, 8, 11)


def test_a_missing_checkpoint_gives_way_to_the_one_before_it(run, caplog):
    (run / "checkpoints" / "last.ckpt").unlink()
    assert ganforge.load(run).iteration == 9
    assert "last.ckpt is missing; using" in caplog.text


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(RunError, match="no such run folder"):
        ganforge.load(tmp_path / "nowhere")
    with pytest.raises(RunError, match="no run yet"):
        ganforge.load("latest", log_dir=tmp_path)


def test_an_unknown_kind_of_checkpoint_is_refused(trained):
    with pytest.raises(ConfigError, match="legal: last, previous, best"):
        ganforge.load(trained[0], "newest")


def test_a_strangers_run_runs_no_code(run, tmp_path):
    config = OmegaConf.load(run / "config.yaml")
    written = tmp_path / "written"
    config.loss = {"_target_": "pathlib.Path.write_text", "self": str(written), "data": "x"}
    config.data.name = {"_target_": "torch.utils.collect_env.run", "command": f"touch {written}"}
    OmegaConf.save(config, run / "config.yaml")
    for read in (lambda: ganforge.load(run), lambda: load_run_data(RunFolder(run), Command())):
        with pytest.raises(RunError, match=r"config.yaml: data.name._target_ names torch.utils"):
            read()
    assert not written.exists()
