from __future__ import annotations

import time

import pytest
import torch
from omegaconf import OmegaConf

from ganforge.callbacks.interruption import Interruption
from ganforge.errors import ConfigError, InterruptionError, RunError
from ganforge.models.engine.observations import Stopwatch
from tests.support.short_runs import ENDLESS, PLAIN, SEVEN, go, runs, summary, unfinished
from tests.support.trainings import run_of

# ---------------------------------------------------------------------- what a run keeps


def test_values_of_the_command_line_are_accepted(run):
    changes = ["optimizer.generator.lr=0.5", "optimizer.generator.betas=[0.1,0.2]"]
    go(f"resume={run}", "trainer.max_steps=6", *changes)
    assert summary(run)["step"] == 6
    assert summary(run)["status"] == "completed"
    kept = OmegaConf.load(run / "config.yaml")
    assert kept.optimizer.generator.lr == 0.5
    state = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    (group,) = state["optimizer_states"][0]["param_groups"]
    assert (group["lr"], tuple(group["betas"])) == (0.5, (0.1, 0.2))
    assert kept.network.generator.width == 4  # of the run, and not of the defaults


def test_a_new_rate_counts(run):
    """The optimizer's own state holds a rate too: the command line's is the one that counts."""
    before = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    go(f"resume={run}", "trainer.max_steps=5", "optimizer.generator.lr=0")
    after = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    moved = {
        player: any(
            not torch.equal(before["state_dict"][name], after["state_dict"][name])
            for name in before["state_dict"]
            if name.startswith(player) and name.endswith("weight")
        )
        for player in ("generator.", "discriminator.")
    }
    assert moved == {"generator.": False, "discriminator.": True}


@pytest.mark.parametrize(
    "change",
    ["model=wgan_gp", "data=fake", "loss=minimax", "network=mlp", "regularizer=[r1]", "debug=fast"],
)
def test_other_parts_are_refused(run, change):
    group, _, option = change.partition("=")
    before = (run / "composed.yaml").read_text()
    with pytest.raises(ConfigError, match=rf"{group}=.*was made with {group}=.*start a new one"):
        go(f"resume={run}", change)
    assert (run / "composed.yaml").read_text() == before
    assert option not in before or option in ("fast",)


def test_the_same_parts_are_accepted(run):
    go(f"resume={run}", "model=projection", "data=digits", "regularizer=[]", "trainer.max_steps=5")
    assert summary(run)["step"] == 5


def test_what_watches_a_run_may_be_exchanged(run):
    features = "features._target_=tests.support.small_features.SmallFactory"
    few = "callbacks.evaluation.n=32"
    go(f"resume={run}", "trainer.max_steps=5", "metrics=[fid]", "logger=csv", features, few)
    assert "fid_small" in summary(run)["metrics"]


def test_other_trainer_options_keep_the_length_and_precision_of_the_run(run):
    with pytest.raises(RunError, match=r"already at step 4, and trainer\.max_steps=4"):
        go(f"resume={run}", "trainer=cpu")
    kept = OmegaConf.load(run / "composed.yaml")
    assert (kept.trainer.max_steps, kept.trainer.precision) == (4, "32-true")


def test_another_architecture_by_value_is_refused(run):
    with pytest.raises(RunError, match=r"another architecture: \S+ is \(.*there and \(.*here"):
        go(f"resume={run}", "network.generator.width=8", "trainer.max_steps=6")
    go(f"resume={run}", "trainer.max_steps=5")
    assert summary(run)["step"] == 5


def test_a_run_that_has_nothing_left_to_do_says_so(run):
    with pytest.raises(RunError, match=r"already at step 4.*resume=\S+ trainer\.max_steps=8"):
        go(f"resume={run}")
    assert summary(run)["status"] == "completed"


def test_a_damaged_last_checkpoint_is_named_and_the_one_before_it_resumed(run, caplog):
    last = run / "checkpoints" / "last.ckpt"
    last.write_bytes(b"torn")
    go(f"resume={run}", "dry_run=true")  # as the resume itself
    assert summary(run)["step"] == 4
    go(f"resume={run}", "trainer.max_steps=6")
    assert f"{last}: damaged" in caplog.text
    assert f"resuming from {run / 'checkpoints' / 'previous.ckpt'}" in caplog.text
    assert summary(run)["step"] == 6


# ---------------------------------------------------------------------- which run


def test_latest_resumes_the_newest_run(run, tmp_path):
    go("resume=latest", "trainer.max_steps=5", f"log_dir={tmp_path}")
    assert summary(run)["step"] == 5
    assert runs(tmp_path) == [run]


def test_auto_resumes_the_newest_unfinished_run_of_the_same_configuration(run, tmp_path):
    auto = [*PLAIN, "resume=auto", f"log_dir={tmp_path}"]
    longer = [*auto, "trainer.max_steps=6"]
    go(*longer)  # of another length: a run of its own
    first = [path for path in runs(tmp_path) if path != run]
    assert len(first) == 1
    go(*longer)  # which is complete
    assert len(runs(tmp_path)) == 3
    older, newest = (path for path in runs(tmp_path) if path != run)
    checkpoints = newest / "checkpoints"
    (checkpoints / "last.ckpt").unlink()  # as killed after step 3
    unfinished(newest)
    unfinished(run)
    go(*longer)
    assert len(runs(tmp_path)) == 3
    assert [summary(path)["step"] for path in (run, older, newest)] == [4, 6, 6]
    assert summary(newest)["status"] == "completed"


def test_auto_starts_a_new_run_where_there_is_none(tmp_path):
    go(*PLAIN, "resume=auto", f"log_dir={tmp_path}")
    (made,) = runs(tmp_path)
    assert summary(made)["step"] == 4


def test_auto_skips_other_seeds(run, tmp_path):
    unfinished(run)
    go(*PLAIN, "resume=auto", "seed=5", f"log_dir={tmp_path}")
    assert len(runs(tmp_path)) == 2


def test_auto_finds_a_run_that_was_typed(type_in, tmp_path):
    typed = ["train", *PLAIN, "resume=auto", f"log_dir={tmp_path / 'logs'}"]
    assert type_in(*typed).code == 0
    (made,) = runs(tmp_path / "logs")
    (made / "checkpoints" / "last.ckpt").unlink()
    unfinished(made)
    assert type_in(*typed).code == 0
    assert runs(tmp_path / "logs") == [made]
    assert summary(made)["status"] == "completed"


@pytest.mark.parametrize("where", ["nowhere", "latest"])
def test_what_is_no_run_is_refused_and_makes_none(tmp_path, where):
    with pytest.raises(RunError):
        go(*PLAIN, f"resume={where}", f"log_dir={tmp_path}")
    assert not list(tmp_path.iterdir())


# ---------------------------------------------------------------------- how a run ends


@pytest.fixture
def slow_clock(monkeypatch):
    """Each look at the clock finds it half a second later."""
    now = [0.0]

    def look() -> float:
        now[0] += 0.5
        return now[0]

    monkeypatch.setattr("ganforge.models.engine.observations.time.perf_counter", look)


def test_a_time_budget_is_counted_on_over_resumes(tmp_path, slow_clock):
    go(*ENDLESS, "trainer.max_seconds=10", f"log_dir={tmp_path / 'run'}")
    run = run_of(tmp_path, "run")
    first = summary(run)
    assert first["status"] == "completed"
    assert 10 <= first["seconds"] < 14
    assert first["step"] > 3
    go(f"resume={run}", "trainer.max_seconds=20")
    second = summary(run)
    assert 20 <= second["seconds"] < 24
    assert second["step"] < 3 * first["step"]


def test_a_used_up_time_budget_is_reported(tmp_path, slow_clock):
    go(*ENDLESS, "trainer.max_seconds=5", f"log_dir={tmp_path / 'run'}")
    run = run_of(tmp_path, "run")
    with pytest.raises(RunError, match=r"trainer.max_seconds=5.*larger"):
        go(f"resume={run}")


def test_a_stopwatch_continues_from_the_checkpoint(original):
    progress = torch.load(original / "checkpoints" / "last.ckpt", weights_only=True)["progress"]
    watch = Stopwatch()
    watch.set(progress["seconds"])
    assert 0 < watch.seconds < time.perf_counter()


def test_an_interruption_saves_and_can_be_resumed(whole, tmp_path, monkeypatch):
    real = Interruption.on_train_batch_end

    def signalled(self, trainer, pl_module, *rest) -> None:
        if pl_module.iteration == 4:
            self._receive(2, None)
        real(self, trainer, pl_module, *rest)

    monkeypatch.setattr(Interruption, "on_train_batch_end", signalled)
    with pytest.raises(InterruptionError, match=r"interrupted at step 4 by SIGINT; continue with"):
        go(*SEVEN, f"log_dir={tmp_path / 'run'}")
    monkeypatch.undo()
    run = run_of(tmp_path, "run")
    assert (summary(run)["status"], summary(run)["step"]) == ("interrupted", 4)
    go(f"resume={run}")
    assert summary(run)["status"] == "completed"
    states = [
        torch.load(path / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for path in (whole, run)
    ]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_a_run_that_fails_before_its_first_step_leaves_no_folder(tmp_path):
    broken = {"_target_": "tests.support.broken.BrokenAt", "step": 0, "rank": 0}
    wrong = [f"+callbacks.broken.{key}={value}" for key, value in broken.items()]
    with pytest.raises(RunError, match="broken at step 0"):
        go(*PLAIN, *wrong, f"log_dir={tmp_path}")
    assert runs(tmp_path) == []
    assert not (tmp_path / "train" / "latest").is_symlink()


def test_a_run_that_fails_later_says_why_in_its_summary(tmp_path):
    broken = {"_target_": "tests.support.broken.BrokenAt", "step": 3, "rank": 0}
    wrong = [f"+callbacks.broken.{key}={value}" for key, value in broken.items()]
    with pytest.raises(RunError, match="broken at step 3"):
        go(*PLAIN, *wrong, f"log_dir={tmp_path / 'run'}")
    told = summary(run_of(tmp_path, "run"))
    assert (told["status"], told["error"]) == ("failed", "broken at step 3")


def test_what_a_dying_process_saved_meanwhile_is_not_cleared(tmp_path, monkeypatch):
    folder = tmp_path / "run"

    def meanwhile(parts: object) -> None:
        (folder / "checkpoints").mkdir(parents=True)
        (folder / "composed.yaml").touch()
        (folder / "checkpoints" / "last.ckpt").write_bytes(b"kept")

    monkeypatch.setattr("ganforge.commands.train._prepare_scores", meanwhile)
    with pytest.raises(RunError, match="another process has just trained here"):
        go(*PLAIN, f"run_dir={folder}", f"log_dir={tmp_path}")
    assert (folder / "checkpoints" / "last.ckpt").read_bytes() == b"kept"


# ---------------------------------------------------------------------- trust


@pytest.mark.parametrize("how", ["resume={}", "resume=auto", "run_dir={}"])
def test_a_strangers_run_runs_no_code(run, how, monkeypatch):
    unfinished(run)
    own = OmegaConf.load(run / "composed.yaml")
    own.callbacks.checkpoints._target_ = "os.system"
    OmegaConf.save(own, run / "composed.yaml")
    monkeypatch.setattr("ganforge.runs.resuming.resume.different_keys", lambda own, cfg: [])
    with pytest.raises(RunError, match=r"composed.yaml: callbacks.checkpoints._target_ names os"):
        go(*PLAIN, how.format(run), f"log_dir={run.parents[2]}", "dry_run=true")


def test_a_run_that_was_typed_here_is_resumed_without_a_word(run, tmp_path, monkeypatch):
    """PLAIN types a part of the tests' own: features._target_=tests.support.small_features...."""
    go(f"resume={run}", "trainer.max_steps=5")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "another_machine"))
    with pytest.raises(RunError, match=r"trust=\[tests\]"):
        go(f"resume={run}", "trainer.max_steps=6")
    go(f"resume={run}", "trainer.max_steps=6", "trust=[tests]")
    assert summary(run)["step"] == 6


def test_a_folder_named_last_ckpt_is_rejected_before_training(run):
    last = run / "checkpoints" / "last.ckpt"
    last.unlink()
    last.mkdir()
    with pytest.raises(RunError, match=r"last\.ckpt is a folder where the checkpoint"):
        go(f"resume={run}", "trainer.max_steps=6")
    assert summary(run)["step"] == 4
