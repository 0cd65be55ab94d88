"""Runs of a few steps without scores or pictures, trained inside this process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ganforge.commands.train import train
from ganforge.config.compose import compose_config
from tests.support.trainings import SMALL

PLAIN = [o for o in SMALL if "evaluation" not in o and "samples" not in o]
PLAIN += ["metrics=[]", "~callbacks.samples", "trainer.max_steps=4"]
SEVEN = [*PLAIN, "trainer.max_steps=7"]
ENDLESS = [o for o in PLAIN if "max_steps" not in o] + ["trainer.max_steps=-1"]


def go(*overrides: str) -> None:
    train(compose_config(list(overrides)))


def summary(run: Path) -> dict[str, Any]:
    return json.loads((run / "summary.json").read_text())


def runs(log_dir: Path) -> list[Path]:
    return sorted((log_dir / "train").glob("20*/*"))


def unfinished(run: Path) -> None:
    """Makes the summary what it was when the last checkpoint was written."""
    (run / "summary.json").write_text(json.dumps(summary(run) | {"status": "running"}))
