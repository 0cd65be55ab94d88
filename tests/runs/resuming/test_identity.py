"""Which run a command goes on with, found without training any."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from ganforge.config.command import Command
from ganforge.config.compose import compose_config
from ganforge.data.files.value_range import Span
from ganforge.data.sets.folder import ImageFolder
from ganforge.errors import ConfigError
from ganforge.runs.folder import RunFolder
from ganforge.runs.record import note_range, write_config
from ganforge.runs.resuming.resume import Resumed, find_resumed
from ganforge.runs.stored.data_places import make_paths_absolute
from ganforge.runs.stored.settling import settle

MADE = ["model=gan", "data=fake", "network=mlp"]


def settled(*overrides: str):
    cfg = compose_config([*MADE, *overrides])
    command = Command.of(cfg)
    replaced = settle(cfg)
    make_paths_absolute(cfg, Path.cwd())
    return cfg, command, replaced


def started(folder: Path, *overrides: str, old: bool = False) -> Path:
    """Writes what a run that was killed leaves; ``old`` ones stored expressions as typed."""
    run = folder / "train" / "2026-01-01" / "00-00-00-gan-fake-s0"
    (run / "checkpoints").mkdir(parents=True)
    (run / "checkpoints" / "last.ckpt").touch()
    cfg, command, _ = settled(*overrides)
    cfg.log_dir = str(folder)
    write_config(cfg, RunFolder(run), command, new=True)
    (run / "provenance.json").write_text(json.dumps([{"overrides": command.typed}]))
    if old:
        typed = compose_config([*MADE, *overrides])
        (run / "composed.yaml").write_text(OmegaConf.to_yaml(typed))
    return run


def found(folder: Path, *overrides: str) -> Resumed | None:
    return find_resumed(*settled(*overrides, f"log_dir={folder}"))


@pytest.mark.parametrize("old", [False, True])
def test_a_variable_counts_by_its_value(tmp_path, monkeypatch, old):
    monkeypatch.setenv("TASK", "1")
    run = started(tmp_path, "seed=${oc.env:TASK}", old=old)
    auto = ["seed=${oc.env:TASK}", "resume=auto"]
    ours = found(tmp_path, *auto)
    assert ours is not None
    assert (ours.folder.path, ours.cfg.seed, ours.cfg.data.seed) == (run, 1, 1)
    assert found(tmp_path, "seed=1", "resume=auto") is not None
    monkeypatch.setenv("TASK", "2")
    assert found(tmp_path, *auto) is None
    with pytest.raises(ConfigError, match="differs in seed"):
        found(tmp_path, "seed=${oc.env:TASK}", f"run_dir={run}")
    monkeypatch.delenv("TASK")
    again = found(tmp_path, f"resume={run}")
    assert again is not None
    assert (again.cfg.seed, again.cfg.data.seed) == (1, 1)


@pytest.mark.parametrize("old", [False, True])
def test_a_time_counts_by_what_was_typed(tmp_path, old):
    started(tmp_path, "data.max_images=${now:1%M}", "name=a", old=old)
    value = OmegaConf.load(next(tmp_path.rglob("config.yaml"))).data.max_images
    ours = found(tmp_path, "data.max_images=${now:2%M}", "name=a", "resume=auto")
    assert ours is None
    ours = found(tmp_path, "data.max_images=${now:1%M}", "name=a", "resume=auto")
    assert ours is not None
    assert ours.cfg.data.max_images == value
    assert found(tmp_path, "name=a", "resume=auto") is None


def test_relative_data_paths_match_only_from_the_same_folder(tmp_path, monkeypatch):
    folder = ["data=folder", "data.path=imgs"]
    for place in ("here", "there"):
        (tmp_path / place / "imgs").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    run = started(tmp_path / "here" / "logs", *folder)
    assert OmegaConf.load(run / "config.yaml").data.path == str(tmp_path / "here" / "imgs")
    assert found(tmp_path / "here" / "logs", *folder, "resume=auto") is not None
    monkeypatch.chdir(tmp_path / "there")
    assert found(tmp_path / "here" / "logs", *folder, "resume=auto") is None


def test_old_relative_data_are_found_from_the_run(tmp_path, monkeypatch):
    (tmp_path / "imgs").mkdir()
    monkeypatch.chdir(tmp_path)
    run = started(Path("logs"), "data=folder", "data.path=imgs", old=True)
    stored = OmegaConf.load(run / "composed.yaml")
    stored.log_dir = "logs"
    (run / "composed.yaml").write_text(OmegaConf.to_yaml(stored))
    assert stored.data.path == "imgs"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    ours = found(tmp_path, "data=folder", f"resume={tmp_path / run}")
    assert ours is not None
    assert ours.cfg.data.path == str(tmp_path / "imgs")


def test_auto_says_what_the_nearest_run_differs_in(tmp_path, caplog):
    run = started(tmp_path)
    with caplog.at_level("INFO", "ganforge"):
        assert found(tmp_path, "data.mirror=true", "resume=auto") is None
    assert f"{run} differs in data.mirror" in caplog.text


@pytest.mark.parametrize(
    ("key", "value", "fault"),
    [
        ("seed", None, "damaged, or not a run's"),
        ("data", None, "damaged, or not a run's"),
        ("name", "${nowhere}", "Interpolation key 'nowhere'"),
        ("data.path", "~nobody-at-all/x", "~nobody-at-all/x: cannot expand"),
    ],
)
def test_auto_skips_a_run_with_damaged_values(tmp_path, caplog, key, value, fault):
    run = started(tmp_path)
    stored = OmegaConf.load(run / "composed.yaml")
    OmegaConf.update(stored, key, value, merge=False, force_add=True)
    (run / "composed.yaml").write_text(OmegaConf.to_yaml(stored))
    assert found(tmp_path, "resume=auto") is None
    assert f"skips {run / 'composed.yaml'}: {fault}" in caplog.text


def test_auto_skips_a_damaged_run(tmp_path, caplog):
    run = started(tmp_path)
    (run / "composed.yaml").write_text("[]")
    assert found(tmp_path, "resume=auto") is None
    assert f"skips {run / 'composed.yaml'}: damaged" in caplog.text


def test_a_range_that_was_found_is_noted_and_does_not_make_another_run(tmp_path):
    typed = ["data=folder", f"data.path={tmp_path}"]
    run = started(tmp_path / "logs", *typed)
    cfg = OmegaConf.load(run / "composed.yaml")
    data = ImageFolder(str(tmp_path), range={"found": [0, 4095]})
    data._spans[""] = Span(0, 4095)
    note_range(cfg, data)
    OmegaConf.save(cfg, run / "composed.yaml")
    resumed = found(tmp_path / "logs", *typed, "resume=auto")
    assert resumed is not None
    assert resumed.cfg.data.range == {"found": [0, 4095]}
    assert found(tmp_path / "logs", *typed, "resume=auto", "data.range=[0,9]") is None


def test_runs_from_before_minutes_keep_their_intervals(tmp_path):
    run = started(tmp_path)
    for name in ("composed.yaml", "config.yaml"):
        cfg = OmegaConf.load(run / name)
        cfg.callbacks.checkpoints = {
            "_target_": "ganforge.callbacks.Checkpoints",
            "every_n_steps": 500,
        }
        (run / name).write_text(OmegaConf.to_yaml(cfg))
    ours = found(tmp_path, "resume=auto")
    assert ours is not None
    assert ours.cfg.callbacks.checkpoints.every_n_steps == 500
    assert "every_minutes" not in ours.cfg.callbacks.checkpoints
    assert found(tmp_path, "callbacks.checkpoints.background=true", "resume=auto") is None


def test_the_intervals_of_checkpoints_are_compared(tmp_path):
    started(tmp_path)
    assert found(tmp_path, "resume=auto") is not None
    assert found(tmp_path, "callbacks.checkpoints.every_minutes=1", "resume=auto") is None


# ---------------------------------------------------------------------- devices


def made_before_tf32(run: Path) -> None:
    """Removes what older versions did not store."""
    for name in ("composed.yaml", "config.yaml"):
        cfg = OmegaConf.load(run / name)
        del cfg.trainer["tf32"]
        OmegaConf.save(cfg, run / name)


@pytest.mark.parametrize("how", ["resume=auto", "run_dir={run}"])
def test_an_older_run_keeps_all_gpus(tmp_path, how):
    run = started(tmp_path)
    typed = how.format(run=run)
    made_before_tf32(run)
    resumed = found(tmp_path, typed)
    assert resumed.cfg.trainer.strategy == "ddp"
    # Resuming stores this; the run is found and used as before, by the same command.
    write_config(resumed.cfg, resumed.folder, Command(), new=False)
    assert found(tmp_path, typed).cfg.trainer.strategy == "ddp"


def test_an_older_run_of_a_number_of_devices_keeps_it(tmp_path):
    run = started(tmp_path, "trainer.devices=2")
    made_before_tf32(run)
    trainer = found(tmp_path, f"resume={run}").cfg.trainer
    assert (trainer.devices, trainer.strategy) == (2, "auto")
