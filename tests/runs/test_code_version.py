from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ganforge.runs import code_version
from ganforge.runs.code_version import CodeVersion, without_credentials


def git(folder: Path, *arguments: str) -> str:
    settings = ["-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(folder), *settings, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository with one committed file, whatever this machine's own settings are."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.delenv("GIT_DIR", raising=False)
    git(tmp_path, "init", "-q")
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "code.py").write_text("a = 1\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    return tmp_path


def test_a_clean_tree_is_its_commit(repository):
    found = CodeVersion.read(repository / "package" / "code.py")
    assert found == CodeVersion(git(repository, "rev-parse", "HEAD"), None, "")


def test_what_differs_is_of_tracked_files_in_the_whole_tree(repository):
    (repository / "package" / "code.py").write_text("a = 2\n")
    (repository / "secret.env").write_text("KEY=hidden\n")  # not tracked
    git(repository, "remote", "add", "origin", "https://me:token@host.example/team/code.git")
    found = CodeVersion.read(repository / "package" / "code.py")
    assert found.remote == "https://host.example/team/code.git"
    assert "-a = 1\n+a = 2\n" in found.diff
    assert "hidden" not in found.diff
    git(repository, "add", "package")  # staged counts too
    assert CodeVersion.read(repository / "package" / "code.py").diff == found.diff


def test_the_configuration_of_a_submodule_runs_nothing(repository):
    inner, mark = repository / "inner", repository.with_name(f"{repository.name}-ran")
    inner.mkdir()
    git(inner, "init", "-q")
    (inner / "a").write_text("a")
    git(inner, "add", ".")
    git(inner, "commit", "-q", "-m", "inner")
    git(repository, "add", "inner")
    git(repository, "commit", "-q", "-m", "with inner")
    git(inner, "config", "filter.evil.clean", f"touch {mark}; cat")
    (inner / ".gitattributes").write_text("* filter=evil\n")
    (inner / "a").write_text("b")
    assert CodeVersion.read(repository / "package" / "code.py").diff == ""
    assert not mark.exists()
    git(inner, "commit", "-q", "-a", "-m", "more")
    mark.unlink(missing_ok=True)
    assert "Subproject commit" in CodeVersion.read(repository / "package" / "code.py").diff
    assert not mark.exists()


def test_a_long_diff_is_cut_off_and_says_so(repository, monkeypatch):
    monkeypatch.setattr(code_version, "DIFF_BYTES", 200)
    (repository / "package" / "code.py").write_text("a = 'ä'\n" * 1000)
    diff = CodeVersion.read(repository / "package" / "code.py").diff
    kept, _, end = diff.partition("\n... cut off here")
    assert len(kept.encode()) <= 200
    assert end.startswith(": the whole diff has 1")


def test_code_that_is_installed_below_another_repository_is_not_of_it(repository):
    installed = repository / "venv" / "ganforge.py"
    installed.parent.mkdir()
    installed.write_text("")
    assert CodeVersion.read(installed) is None


def test_without_git_nothing_is_known(repository, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert CodeVersion.read(repository / "package" / "code.py") is None


@pytest.mark.parametrize(
    ("address", "clean"),
    [
        ("https://token@host.example/a", "https://host.example/a"),
        ("git@host.example:team/code.git", "git@host.example:team/code.git"),  # a name, no secret
        ("/srv/code", "/srv/code"),
    ],
)
def test_credentials_are_taken_out_of_addresses(address, clean):
    assert without_credentials(address) == clean
