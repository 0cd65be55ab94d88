from __future__ import annotations

import hashlib
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from ganforge.config.command import Command
from ganforge.config.compose import compose_config
from ganforge.runs import code_version
from ganforge.runs.code_version import Workspace

MODULES = ("tracked_part", "new_part", "unused_part", "large_part", "odd_part")


def git(folder: Path, *arguments: str) -> None:
    user = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", "-C", str(folder), *user, *arguments], check=True, capture_output=True)


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """A working directory with modules of the user's, of which some are imported."""
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "tracked_part.py").write_text("lr = 1\n")
    (folder / "new_part.py").write_text("class Loss:\n    api_key = 'abcdefghij'\n")
    (folder / "unused_part.py").write_text("pass\n")
    (folder / "large_part.py").write_text("#" * code_version.FILE_BYTES + "\n")
    (folder / "odd_part.py").write_bytes(b"# coding: latin-1\n# \xe9\n")
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delenv("PYTHONPATH", raising=False)
    for name in set(MODULES) - {"unused_part"}:
        importlib.import_module(name)
    yield folder
    for name in MODULES:
        sys.modules.pop(name, None)


def test_imported_files_are_kept_without_a_repository(here):
    found = Workspace.read()
    assert found is not None
    assert found.commit is None
    assert set(found.files) == {f"{name}.py" for name in MODULES} - {"unused_part.py"}
    assert found.files["tracked_part.py"] == hashlib.sha256(b"lr = 1\n").hexdigest()
    assert "+class Loss:\n+    api_key = ***\n" in found.diff
    assert "odd_part" not in found.diff
    assert "large_part" not in found.diff


def test_a_package_linked_into_site_packages_is_recorded(here, tmp_path, monkeypatch):
    """As an editable installation may be; a package that was copied there is not the user's."""
    site = tmp_path / "site-packages"
    for folder in (here / "linked_part", site / "copied_part"):
        folder.mkdir(parents=True)
        (folder / "__init__.py").write_text("")
        (folder / "inner.py").write_text("lr = 2\n")
    (site / "linked_part").symlink_to(here / "linked_part")
    monkeypatch.syspath_prepend(str(site))
    for name in ("linked_part", "copied_part"):
        importlib.import_module(f"{name}.inner")
    found = Workspace.read()
    for name in ("linked_part", "copied_part"):
        del sys.modules[f"{name}.inner"], sys.modules[name]
    assert found is not None
    assert {"linked_part/__init__.py", "linked_part/inner.py"} <= set(found.files)
    assert not any("copied_part" in name for name in found.files)


def test_the_patch_makes_the_files_again(here, tmp_path):
    (here / "new_part.py").write_text("a = 1\nb = 2")
    found = Workspace.read()
    assert found is not None
    again = tmp_path / "again"
    again.mkdir()
    (again / "a.diff").write_text(found.diff)
    subprocess.run(["git", "apply", "a.diff"], cwd=again, check=True)
    assert (again / "new_part.py").read_text() == "a = 1\nb = 2"


def test_a_repository_is_its_commit_and_what_differs(here):
    git(here, "init")
    git(here, "add", "tracked_part.py")
    git(here, "commit", "-m", "x")
    git(here, "remote", "add", "origin", "https://oauth2:T0PSECRET@host/a?private_token=T0PSECRET")
    (here / "tracked_part.py").write_text("lr = 2\n")
    found = Workspace.read()
    assert found is not None
    assert found.commit is not None
    assert found.remote == "https://host/a?private_token=***"
    assert "-lr = 1\n+lr = 2\n" in found.diff
    assert found.diff.count("tracked_part.py b/tracked_part.py") == 1
    assert "+++ b/new_part.py" in found.diff


@pytest.mark.parametrize("how", ["core.fsmonitor", "filter.evil.clean"])
def test_a_repository_runs_no_command_of_its_own(here, tmp_path, how):
    git(here, "init")
    (here / ".gitattributes").write_text("*.py filter=evil\n")
    git(here, "add", "tracked_part.py", ".gitattributes")
    git(here, "commit", "-m", "x")
    git(here, "config", how, f"touch {tmp_path / 'ran'}; cat #")
    (here / "tracked_part.py").write_text("lr = 2\n")
    found = Workspace.read()
    assert found is not None
    assert found.commit is not None
    assert not (tmp_path / "ran").exists()


def test_configuration_folders_are_kept(here, tmp_path):
    own = tmp_path / "conf" / "loss"
    own.mkdir(parents=True)
    (own / "mine.yaml").write_text("# mine\n_target_: a.B\npassword: T0PSECRET\n")
    command = Command.of(compose_config([f"hydra.searchpath=[file://{tmp_path / 'conf'}]"]))
    found = Workspace.read(command.config_dirs)
    assert found is not None
    assert "+_target_: a.B\n+password: ***\n" in found.diff
    assert any(name.endswith("conf/loss/mine.yaml") for name in found.files)


def test_nothing_of_the_users_is_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    assert Workspace.read() is None
