"""The version of the code that a run uses, as git describes it."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import ganforge
from ganforge.redaction import redacted, redacted_code

DIFF_BYTES = 1_000_000
PATIENCE = 10.0  # seconds to wait for git, which may work on a slow disk


@dataclass(frozen=True)
class CodeVersion:
    """A commit, and the uncommitted changes to it.

    Attributes:
        commit: its hash.
        remote: address of the repository, without credentials; None if it has no remote.
        diff: ``git diff HEAD`` of tracked files, truncated after one megabyte.
    """

    commit: str
    remote: str | None
    diff: str

    @classmethod
    def read(cls, source: Path | None = None) -> CodeVersion | None:
        """Returns the version of this package's code; None if git does not track it.

        A package installed inside an unrelated repository is not tracked there, so that
        repository's commit is not reported.

        Args:
            source: a file of the code; None for this package's.
        """
        source = source or Path(ganforge.__file__)
        folder = source.parent
        if git(folder, "ls-files", "--error-unmatch", source.name) is None:
            return None
        commit = git(folder, "rev-parse", "HEAD")
        if not commit:
            return None
        return cls(commit.strip(), remote_of(folder), diff_of(folder))


def without_credentials(address: str) -> str:
    """Returns the address of a repository without user and password."""
    parts = urlsplit(address)
    if not parts.scheme or "@" not in parts.netloc:
        return address
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def remote_of(folder: Path) -> str | None:
    """Returns the address of a repository's origin, without secrets; None if it has none."""
    found = git(folder, "config", "--get", "remote.origin.url")
    return redacted(without_credentials(found.strip())) if found and found.strip() else None


def diff_of(folder: Path) -> str:
    """Returns the uncommitted changes without secrets, truncated after one megabyte."""
    # Without these flags, git would run commands named in the configuration of a repository or
    # submodule.
    safely = ("--no-ext-diff", "--no-textconv", "--ignore-submodules=dirty", "--no-color")
    found = git(folder, "diff", "HEAD", *safely, ":/") or ""
    found = redacted_code(found)
    if len(found.encode()) <= DIFF_BYTES:
        return found
    kept = found.encode()[:DIFF_BYTES].decode(errors="ignore")
    return f"{kept}\n... cut off here: the whole diff has {len(found.encode())} bytes\n"


def git(folder: Path, *arguments: str) -> str | None:
    """Returns the output of a git command; None if it fails or git is not installed."""
    # core.fsmonitor may name a command that git runs whenever it reads the work tree.
    command = ["git", "-c", "core.fsmonitor=false", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode(errors="replace") if done.returncode == 0 else None
