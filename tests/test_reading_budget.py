"""How many files of the project a reader enters to follow a command, counted while it runs.

The goals are 45 files to the first loss of a discriminator and 40 to a Frechet distance. The bounds
are what there is today, and may only fall.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.trainings import ROOT, environment

# Runs a command up to a function, and prints the files of ganforge whose functions were entered.
FOLLOW = """
import inspect, json, os, sys, threading
from pathlib import Path
import ganforge
# Imported before counting, which slows Python down. Nothing that they do counts.
import ganforge.commands.evaluate, ganforge.commands.train, torchmetrics, torchvision
from ganforge import cli
root, until, arguments = Path(ganforge.__file__).parent, sys.argv[1], sys.argv[2:]
entered = set()
def follow(frame, event, _):
    code = frame.f_code
    # Functions only: the bodies of modules and classes run when they are imported.
    if event != "call" or not code.co_flags & inspect.CO_OPTIMIZED:
        return
    path = Path(code.co_filename)
    if root in path.parents:
        entered.add(str(path.relative_to(root)))
        if code.co_name == until and path.name == "critic.py":
            end()
def end():
    sys.setprofile(None)
    print("ENTERED", json.dumps(sorted(entered)), flush=True)
    os._exit(0)
sys.setprofile(follow)
code = cli.run(arguments)
sys.setprofile(None)
assert code == 0, code
end()
"""


def entered(folder: Path, until: str, *arguments: str) -> list[str]:
    ended = subprocess.run(
        [sys.executable, "-c", FOLLOW, until, *arguments],
        cwd=folder,
        env=environment() | {"PYTHONPATH": f"{ROOT / 'src'}"},
        capture_output=True,
        text=True,
        check=True,
    )
    (line,) = [line for line in ended.stdout.splitlines() if line.startswith("ENTERED ")]
    found: list[str] = json.loads(line.removeprefix("ENTERED "))
    return found


@pytest.mark.slow
def test_to_the_first_loss_of_a_discriminator(tmp_path):
    typed = ["model=dcgan", "data=digits", "trainer=cpu", "logger=csv", "metrics=[]"]
    files = entered(tmp_path, "discriminator_loss", "train", *typed, f"log_dir={tmp_path}")
    assert "models/critic.py" in files
    assert "commands/train.py" in files
    assert len(files) <= 118, files


@pytest.mark.slow
def test_to_a_frechet_distance(tmp_path):
    run = ROOT / "tests" / "frozen" / "gan"
    files = entered(tmp_path, "", "evaluate", f"run={run}", "metrics=[fid]", "n=40", "out=.")
    assert "metrics/scores/frechet.py" in files
    assert len(files) <= 94, files
