"""Which code a run was made with, as far as git knows."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import ganforge
from ganforge.redaction import redacted, redacted_code

DIFF_BYTES = 1_000_000
PATIENCE = 10.0  # seconds for git, which may lie on a slow disk


@dataclass(frozen=True)
class CodeVersion:
    """A commit, and what differs from it.

    Attributes:
        commit: its hash.
        remote: address of the repository, without credentials; None where there is none.
        diff: ``git diff HEAD`` of tracked files; what is beyond the first megabyte is cut off.
    """

    commit: str
    remote: str | None
    diff: str

    @classmethod
    def read(cls, source: Path | None = None) -> CodeVersion | None:
        """Returns the version of this package's code; None outside of a git work tree.

        A package installed below a repository of something else is not tracked there, and so is
        not described by it.

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
    """Returns the address of a repository without the user and password in it."""
    parts = urlsplit(address)
    if not parts.scheme or "@" not in parts.netloc:
        return address
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def remote_of(folder: Path) -> str | None:
    """Returns the address of a repository, without secrets; None where it has none."""
    found = git(folder, "config", "--get", "remote.origin.url")
    return redacted(without_credentials(found.strip())) if found and found.strip() else None


def diff_of(folder: Path) -> str:
    """Returns what differs from the commit, without secrets, cut off after a megabyte."""
    # git would run the commands that the configuration of a submodule names.
    safely = ("--no-ext-diff", "--no-textconv", "--ignore-submodules=dirty", "--no-color")
    found = git(folder, "diff", "HEAD", *safely, ":/") or ""
    found = redacted_code(found)
    if len(found.encode()) <= DIFF_BYTES:
        return found
    kept = found.encode()[:DIFF_BYTES].decode(errors="ignore")
    return f"{kept}\n... cut off here: the whole diff has {len(found.encode())} bytes\n"


def git(folder: Path, *arguments: str) -> str | None:
    """Returns what git prints; None where it fails or is not there."""
    # A repository may name a command to be run for each look at its files.
    command = ["git", "-c", "core.fsmonitor=false", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode(errors="replace") if done.returncode == 0 else None
