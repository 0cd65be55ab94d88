from __future__ import annotations

import io
import logging

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from rich.console import Console

from ganforge.callbacks import progress as module
from ganforge.callbacks.progress import Bar, Progress
from ganforge.callbacks.status import Status, count, describe, duration, number
from ganforge.errors import ConfigError

VALUES = {
    "images_seen": 19200.0,
    "generator/loss": 0.93,
    "discriminator/loss": 1.12,
    "discriminator/real_logit": 0.71,
    "discriminator/fake_logit": 0.28,
    "images_per_second": 812.4,
}


def test_a_line_by_hand():
    # 200 steps in 14.5 s leave 1200 steps in 87 s
    status = Status(300, 1500, 19200, first_step=100, elapsed=14.5, values=VALUES)
    assert describe(status) == (
        "step 300/1500  20 %  images 19.2k  G 0.93  D 1.12  D(real) 0.71 D(fake) 0.28"
        "  812 images/s  ETA 1:27"
    )


def test_accuracies_are_shares():
    values = {"discriminator/real_accuracy": 0.934, "discriminator/fake_accuracy": 1.0}
    assert describe(Status(3, values=values)) == "step 3  images 0  accuracy 93/100 %"


def test_the_probability_of_augmentation_is_shown():
    assert describe(Status(3, values={"augment/p": 0.0832})) == "step 3  images 0  p 0.08"


def test_without_values_and_budget_the_line_is_short():
    assert describe(Status(0)) == "step 0  images 0"


@pytest.mark.parametrize(
    ("status", "done", "remaining"),
    [
        (Status(300, 1500, elapsed=30), 0.2, 120),
        (Status(300, seconds=75, max_seconds=300), 0.25, 225),
        (Status(300, 1500, elapsed=30, seconds=30, max_seconds=300), 0.2, 120),
        (Status(300, 1500, elapsed=150, seconds=150, max_seconds=300), 0.5, 150),
        (Status(0, 1500), 0.0, None),
        (Status(100, 1500, first_step=100, elapsed=3), 100 / 1500, None),
        (Status(301, seconds=301, max_seconds=300), 1.0, 0),
        (Status(5), None, None),
    ],
)
def test_the_budget_that_ends_first_counts(status, done, remaining):
    assert status.done == done
    assert status.remaining == remaining


def test_numbers_by_hand():
    values = [0.0, 0.934, -12.345, 123.45, 4321.9, 2e7, 0.00012, float("nan")]
    shown = ["0.00", "0.93", "-12.35", "123.5", "4322", "2.0e+07", "1.2e-04", "nan"]
    assert [number(v) for v in values] == shown
    assert [count(v) for v in (0, 999, 1000, 19_200, 2_560_000)] == [
        "0",
        "999",
        "1.0k",
        "19.2k",
        "2.6M",
    ]
    assert [duration(v) for v in (0, 58.2, 725, 10961)] == ["0:00", "0:58", "12:05", "3:02:41"]


class Clock(Callback):
    def __init__(self, max_seconds: float | None = None) -> None:
        self.seconds = 0.0
        self.max_seconds = max_seconds


class Tiny(LightningModule):
    """Counts steps, publishes losses at each and a score at every fifth."""

    def __init__(self, fail_at: int = -1) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.iteration = self.images_seen = 0
        self.fail_at = fail_at

    def training_step(self, batch, batch_idx):
        self.iteration += 1
        self.images_seen += 64
        if self.iteration == self.fail_at:
            raise RuntimeError("boom")
        values = {"generator/loss": 0.5, "seconds": 0.1 * self.iteration}
        if self.iteration % 5 == 0:
            values["fid"] = 100.0 / self.iteration
        self.trainer.callback_metrics.update({k: torch.tensor(v) for k, v in values.items()})
        return self.layer(batch).sum()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)

    def train_dataloader(self):
        return torch.utils.data.DataLoader(torch.zeros(100, 1))


class Time:
    """A clock of 0.2 s a step, in place of the wall's."""

    def __init__(self, game: Tiny) -> None:
        self.game = game

    def monotonic(self) -> float:
        return 0.2 * self.game.iteration


def fit(tmp_path, monkeypatch, callbacks, game=None, steps=12) -> None:
    game = game or Tiny()
    monkeypatch.setattr(module, "time", Time(game))
    trainer = Trainer(
        max_steps=steps,
        callbacks=callbacks,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    trainer.fit(game)


def lines(caplog) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.name.startswith("ganforge")]


def test_without_a_terminal_there_are_lines_in_time_at_evaluations_and_at_the_end(
    tmp_path, monkeypatch, caplog
):
    caplog.set_level(logging.INFO)
    fit(tmp_path, monkeypatch, [Progress(every_n_seconds=0.8, terminal=False), Clock()])
    # looked at every second step (0.4 s); due 0.8 s after the last line, or with a new score
    assert [line.split("  ")[0] for line in lines(caplog)] == [
        "step 4/12",
        "step 6/12",
        "step 10/12",
        "step 12/12",
    ]
    assert lines(caplog)[1] == "step 6/12  50 %  images 384  G 0.50  ETA 0:01  fid 20.00"
    assert lines(caplog)[2].endswith("fid 10.00")
    assert "fid" not in lines(caplog)[3]


def test_a_time_budget_is_read_from_the_clock(tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    clock = Clock(max_seconds=100.0)
    clock.seconds = 40.0
    fit(tmp_path, monkeypatch, [Progress(terminal=False), clock], steps=3)
    assert lines(caplog) == ["step 3/3  100 %  images 192  G 0.50  ETA 0:00"]


def test_on_a_terminal_only_scores_and_the_end_are_logged(tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=160)
    monkeypatch.setattr(module, "Bar", lambda: Bar(console))
    fit(tmp_path, monkeypatch, [Progress(every_n_seconds=0.1, terminal=True)])
    assert [line.split("  ")[0] for line in lines(caplog)] == [
        "step 6/12",
        "step 10/12",
        "step 12/12",
    ]
    assert "step 8/12" in screen.getvalue()
    assert "G 0.50" in screen.getvalue()
    assert screen.getvalue().count("\x1b[?25h") == screen.getvalue().count("\x1b[?25l")


@pytest.mark.parametrize("width", [80, 300])
def test_a_narrow_terminal_costs_losses_and_not_the_step(width):
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=width, legacy_windows=False)
    bar = Bar(console)
    bar.show(Status(2500, 10_000, 16_300, first_step=0, elapsed=40.0, values=VALUES))
    bar.close()
    for part in ("step 2500/10000", "25%", "images 16.3k", "812 images/s", "ETA 2:00"):
        assert part in text.getvalue()
    assert ("G 0.93" in text.getvalue()) == (width == 300)


def test_the_bar_is_gone_after_an_error(tmp_path, monkeypatch):
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=160)
    monkeypatch.setattr(module, "Bar", lambda: Bar(console))
    progress = Progress(terminal=True)
    with pytest.raises(RuntimeError, match="boom"):
        fit(tmp_path, monkeypatch, [progress], Tiny(fail_at=4))
    assert screen.getvalue().rstrip().endswith("\x1b[2K")
    assert "\x1b[?25h" in screen.getvalue()  # the cursor is back


def test_other_processes_are_silent(tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    progress = Progress(every_n_seconds=0.1, terminal=True)
    progress.disable()
    fit(tmp_path, monkeypatch, [progress])
    assert lines(caplog) == []


def test_bad_arguments_are_named():
    with pytest.raises(ConfigError, match="every_n_seconds"):
        Progress(every_n_seconds=0)
