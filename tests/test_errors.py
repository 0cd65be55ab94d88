from __future__ import annotations

import re
import tomllib
from pathlib import Path

from ganforge.errors import install

ROOT = Path(__file__).parents[1]


def test_both_commands_are_named():
    assert install("lsun") == "uv sync --extra lsun, or pip install 'ganforge[lsun]'"


def test_messages_name_extras_that_exist_and_by_one_function():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    sources = [path for path in (ROOT / "src").rglob("*.py") if path.name != "errors.py"]
    text = "\n".join(path.read_text() for path in sources)
    assert not re.search(r"uv sync|pip install|install ganforge", text)
    named = set(re.findall(r"install\(['\"](\w+)['\"]\)", text))
    assert named <= extras.keys()
    assert {"lsun", "plots", "backbones", "tensorboard", "dashboard", "slurm"} <= named


def test_celebas_download_needs_no_extra():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert any(name.startswith("gdown") for name in project["dependencies"])
    assert "celeba" in project["optional-dependencies"]  # for existing command lines
