from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from ganforge.commands.train import train
from ganforge.config.compose import compose_config
from ganforge.errors import ConfigError
from tests.support import games, ranks
from tests.support.forking import fork, wait
from tests.support.ranks import CRITIC_STEPS, TERMS
from tests.support.trainings import ROOT, SMALL, environment, run_of

CASES = [f"{steps} {term}" for steps in CRITIC_STEPS for term in TERMS]
NO_STATISTICS = [
    "condition=concatenation",
    "model=cgan",
    "network.discriminator.norm=none",
    "network.generator.norm=none",
]
CASES += ["accumulated", "accumulated relativistic", "clipped", "lazy", "convolutional", "adaptive"]
CASES += ["pix2pix", "cyclegan", "pggan", "stylegan2", "synchronized batch norm"]


def start(arguments: list[str], folder: Path) -> subprocess.Popen[bytes]:
    with open(folder / "log", "wb") as output:
        return subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=environment(),
            stdout=output,
            stderr=subprocess.STDOUT,
        )


# ---------------------------------------------------------------------- the update itself


@pytest.fixture(scope="module")
def played(tmp_path_factory) -> list[dict[str, dict[str, Any]]]:
    """What one process made of every case, then both of two."""
    folder = tmp_path_factory.mktemp("ranks")
    (folder / "log").touch()
    assert wait(fork(lambda: ranks.main(folder))) == 0, (folder / "log").read_text()[-3000:]
    return [torch.load(folder / f"{name}.pt") for name in ("1-0", "2-0", "2-1")]


@pytest.mark.parametrize("case", CASES)
def test_both_processes_hold_the_same_weights(played, case):
    _, first, second = (one[case] for one in played)
    games.assert_equal(first["weights"], second["weights"])


@pytest.mark.parametrize("case", CASES)
def test_two_processes_make_the_update_of_one_with_the_whole_batch(played, case):
    alone, first, _ = (one[case] for one in played)
    games.assert_close(first["weights"], alone["weights"], atol=1e-5)
    assert first["steps"] == alone["steps"] == 3
    assert first["images_seen"] == alone["images_seen"]


@pytest.mark.parametrize("case", CASES)
def test_what_is_logged_is_of_the_whole_batch(played, case):
    alone, first, _ = (one[case] for one in played)
    for ours, theirs in zip(first["points"], alone["points"], strict=True):
        own = {"seconds", "images_per_second"}
        if "relativistic" in case:  # judged against the mean of each process's share
            own |= {"discriminator/real_accuracy", "discriminator/fake_accuracy"}
        assert ours.keys() == theirs.keys()
        for name in ours.keys() - own:
            assert ours[name] == pytest.approx(theirs[name], abs=1e-4), name


def test_both_processes_generate_the_same_images_with_batch_norm(played):
    """Each normalizes its own rows, and their running statistics are averaged."""
    alone, first, second = (one["batch norm"] for one in played)
    games.assert_equal(first["weights"], second["weights"])
    games.assert_equal(first["samples"], second["samples"])
    name = next(name for name in first["weights"] if name.endswith("running_var"))
    assert not torch.equal(first["weights"][name], alone["weights"][name])


def test_processes_agree_on_the_largest_number_one_step_later(played):
    """Rank 1 proposes 15 in the second of four steps, rank 0 nothing."""
    alone, first, second = (one["agreement"] for one in played)
    assert first["signal"] == second["signal"] == [0, 0, 15, 0]
    assert alone["signal"] == [0, 15, 0, 0]
    assert first["stop"] == second["stop"] == [0, 1, 1, 1]


def test_the_comparison_would_see_gradients_that_are_not_shared(played):
    """Without the exchange of gradients, processes diverge without any error."""
    _, first, second = (one["not synchronized"] for one in played)
    name = "generator.to_image.weight"
    assert not torch.allclose(first["weights"][name], second["weights"][name], atol=1e-5)


# ---------------------------------------------------------------------- the command


def peers_left() -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if "ganforge.commands.worker" in line:
            found.append(line)
    return found


@pytest.fixture(scope="module")
def commands(tmp_path_factory) -> tuple[Path, Path]:
    """The folders of two runs of two processes, as typed: a sound one, and one that fails."""
    sound, failing = tmp_path_factory.mktemp("sound"), tmp_path_factory.mktemp("failing")
    typed = [o for o in SMALL if o != "trainer=cpu"] + ["trainer=ddp_cpu", *NO_STATISTICS]
    broken = {"_target_": "tests.support.broken.BrokenAt", "step": 4, "rank": 1}
    typed_of = {sound: typed, failing: [*typed, "metrics=[]"]}
    typed_of[failing] += [f"+callbacks.broken.{key}={value}" for key, value in broken.items()]
    started = [
        start(["train.py", *arguments, f"log_dir={folder / 'run'}"], folder)
        for folder, arguments in typed_of.items()
    ]
    codes = [process.wait(timeout=200) for process in started]
    assert codes == [0, 1], "".join((f / "log").read_text()[-3000:] for f in typed_of)
    return sound, failing


@pytest.fixture(scope="module")
def command(commands) -> Path:
    """The folder of the sound run."""
    return commands[0]


def test_the_command_trains_evaluates_and_saves(command):
    run = run_of(command, "run")
    summary = json.loads((run / "summary.json").read_text())
    assert summary["status"] == "completed"
    assert (summary["step"], summary["images_seen"]) == (11, 88)
    assert [point["step"] for point in summary["history"]] == [4, 8, 11]
    assert "2 x cpu" in summary["device"]
    names = sorted(path.name for path in (run / "checkpoints").iterdir())
    assert names == ["best.ckpt", "last.ckpt", "previous.ckpt"]
    assert len(list((command / "run" / "train").glob("20*/*"))) == 1


def test_no_process_is_left_behind(commands):
    for folder in commands:
        assert not [line for line in peers_left() if str(folder) in line]


def test_the_header_is_printed_once(command):
    text = (command / "log").read_text()
    assert text.count("hardware:") == 1
    assert text.count("run folder:") == 2
    assert "Traceback" not in text


def test_its_run_ends_as_one_process_would_have_ended(command, tmp_path):
    """Weights up to rounding, which Adam can blow up where a gradient is nearly 0."""
    train(compose_config([*SMALL, *NO_STATISTICS, "metrics=[]", f"log_dir={tmp_path / 'run'}"]))
    ours, theirs = (
        torch.load(run_of(f, "run") / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for f in (command, tmp_path)
    )
    assert ours.keys() == theirs.keys()
    for name in ours:
        assert (ours[name] - theirs[name]).abs().mean() < 1e-4, name


def test_one_process_resumes_the_run_of_two(command):
    run = run_of(command, "run")
    changes = ["trainer=cpu", "trainer.max_steps=13", "metrics=[]"]
    train(compose_config([f"resume={run}", *changes]))
    summary = json.loads((run / "summary.json").read_text())
    assert (summary["step"], summary["images_seen"]) == (13, 104)
    assert "2 x" not in summary["device"]


def test_a_failure_of_one_process_ends_both_and_is_reported(commands):
    assert "broken at step 4" in (commands[1] / "log").read_text()


# ---------------------------------------------------------------------- what is refused


@pytest.mark.parametrize("strategy", ["fsdp", "deepspeed", "ddp_spawn"])
def test_other_strategies_are_refused_with_the_reason(tmp_path, strategy):
    typed = [*SMALL, f"trainer.strategy={strategy}", f"log_dir={tmp_path}"]
    with pytest.raises(ConfigError, match=rf"{strategy}.*legal: auto, ddp.*one optimizer"):
        train(compose_config(typed))
    assert not list(tmp_path.iterdir())


def test_a_batch_that_cannot_be_split_is_refused_before_anything_is_written(tmp_path):
    typed = [o for o in SMALL if not o.startswith(("trainer=", "data.batch_size"))]
    typed += ["trainer=ddp_cpu", "data.batch_size=7", f"log_dir={tmp_path}"]
    with pytest.raises(ConfigError, match=r"multiple of 2: use trainer.devices=1"):
        train(compose_config(typed))
    assert not list(tmp_path.iterdir())


def test_a_launcher_that_tells_no_more_than_a_number_is_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(os.environ, "WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match=r"RANK is not set.*torchrun or srun"):
        train(compose_config([*SMALL, f"log_dir={tmp_path}"]))
    assert not list(tmp_path.iterdir())


def test_a_worker_imports_lightning_before_it_silences_it():
    """Lightning sets the level of its logger when it is imported; a late import would be heard."""
    source = ast.parse((ROOT / "src" / "ganforge" / "commands" / "worker.py").read_text())
    early = [node.module for node in source.body if isinstance(node, ast.ImportFrom)]
    assert "ganforge.commands.fit" in early
