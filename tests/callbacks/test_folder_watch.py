from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from lightning.pytorch import Callback

from ganforge.errors import RunError
from tests.runs.resuming.test_resume import PLAIN, go, runs


class Gone(Callback):
    """Removes or moves the run folder after a step."""

    def __init__(self, step: int, to: str | None) -> None:
        self.step = step
        self.to = to

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:
        if pl_module.iteration == self.step:
            folder = Path(trainer.default_root_dir)
            os.rename(folder, self.to) if self.to is not None else shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("step", "moved", "logger"), [(0, False, "csv"), (2, True, "csv"), (1, True, None)]
)
def test_a_run_whose_folder_is_gone_ends_and_leaves_no_stub(tmp_path, step, moved, logger):
    to = tmp_path / "moved" if moved else None
    gone = "+callbacks.gone={_target_: tests.callbacks.test_folder_watch.Gone, "
    typed = [*PLAIN, f"{gone} step: {step}, to: {to or 'null'}}}", f"log_dir={tmp_path}"]
    typed += ["trainer.max_steps=8", *(["~logger"] if logger is None else [])]
    with pytest.raises(RunError, match="was removed or moved while the run was training"):
        go(*typed)
    assert runs(tmp_path) == []
    assert to is None or (to / "config.yaml").is_file()
    assert to is None or '"completed"' not in (to / "summary.json").read_text()
