"""The version of the code that a run uses, ganforge's and the user's, as git describes it."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import ganforge
from ganforge.redaction import redacted, redacted_code

DIFF_BYTES = 1_000_000
PATIENCE = 10.0  # seconds to wait for git, which may work on a slow disk
MOST_FILES = 200
FILE_BYTES = 100_000  # maximum size of a copied file; larger files are only hashed


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


@dataclass(frozen=True)
class Workspace:
    """The user's files, and the repository that contains the working directory.

    Attributes:
        commit: commit of that repository; None without one, and if it is ganforge's own.
        remote: its address, without credentials.
        files: SHA-256 of each imported module and each file of ``--config-dir``, by path.
        diff: uncommitted changes and untracked files, as a patch.
    """

    commit: str | None
    remote: str | None
    files: dict[str, str]
    diff: str

    @classmethod
    def read(cls, config_dirs: Sequence[Path] = ()) -> Workspace | None:
        """Returns the workspace of this process; None if no user code is involved.

        Args:
            config_dirs: folders of the user's configuration files.
        """
        here = Path.cwd()
        top = _top(here)
        root = top or here
        other = top is not None and top != _top(Path(ganforge.__file__).parent)
        own = sorted(_imported(root)) + sorted(_configured(config_dirs))
        own = own[:MOST_FILES]
        commit = (git(root, "rev-parse", "HEAD") or "").strip() if other else ""
        if not own and not commit:
            return None
        diff = diff_of(root) if commit and _filters_nothing(root) else ""
        for path in _untracked(own, root if top else None):
            added = _as_patch(path, root)
            diff += added if len(diff) + len(added) <= DIFF_BYTES else f"... and {path}\n"
        files = {_named(path, root): _hash(path) for path in own}
        return cls(commit or None, remote_of(root) if commit else None, files, diff)


def _top(folder: Path) -> Path | None:
    found = git(folder, "rev-parse", "--show-toplevel")
    return Path(found.strip()) if found and found.strip() else None


def _filters_nothing(root: Path) -> bool:
    """Whether git can diff without running commands from the repository's own configuration.

    Filters are such commands, and the repository may come from an untrusted archive.
    """
    found = git(root, "config", "--show-scope", "--get-regexp", r"^filter\..*\.(clean|process)$")
    lines = [line.split("\t", 1) for line in (found or "").splitlines()]
    local = [line[1] for line in lines if len(line) == 2 and line[0] in ("local", "worktree")]
    return all(line.split(None, 1)[-1].startswith("git-lfs ") for line in local)


def _imported(root: Path) -> Iterator[Path]:
    """Yields source files of imported modules in ``root`` or PYTHONPATH, without installed ones."""
    places = [root, *map(Path, filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)))]
    roots = [place.resolve() for place in places if place.is_dir()]
    libraries = ("stdlib", "platstdlib", "purelib", "platlib")
    installed = {sysconfig.get_path(name) for name in libraries}
    installed |= {str(Path(folder).resolve()) for folder in installed}
    installed |= {str(Path(ganforge.__file__).resolve().parent)}
    # Thousands of modules are imported, and to resolve a path takes long: rule out by name first.
    prefixes = tuple(f"{folder}{os.sep}" for folder in installed)
    site = f"{os.sep}site-packages{os.sep}"
    # Not getattr, which would call the __getattr__ of lazy modules.
    modules = [*sys.modules.items()]
    files = {name: getattr(module, "__dict__", {}).get("__file__") for name, module in modules}
    linked = {name for name, file in files.items() if "." not in name and _is_linked(file)}
    for name, file in files.items():
        package = name.partition(".")[0]
        if not isinstance(file, str) or package in ("ganforge", "hydra_plugins"):
            continue
        if package not in linked and (file.startswith(prefixes) or site in file):
            continue
        path = Path(file).resolve()
        if path.suffix != ".py":
            continue
        if str(path).startswith(prefixes) or "site-packages" in path.parts:
            continue
        if set(path.parents) & set(roots) and path.is_file():
            yield path


def _is_linked(file: object) -> bool:
    """Whether a module or package is a link, as an editable installation may be."""
    return isinstance(file, str) and any(map(os.path.islink, (file, os.path.dirname(file))))


def _configured(folders: Iterable[Path]) -> Iterator[Path]:
    for folder in folders:
        if folder.is_dir():
            yield from (p for p in folder.resolve().rglob("*.yaml") if p.is_file())


def _untracked(paths: list[Path], root: Path | None) -> list[Path]:
    """Returns the files that git does not track; all of them without a repository."""
    if root is None or not paths:
        return paths
    inside = [str(path.relative_to(root)) for path in paths if path.is_relative_to(root)]
    found = git(root, "ls-files", "-z", "--", *inside) if inside else ""
    tracked = {root / name for name in (found or "").split("\0") if name}
    return [path for path in paths if path not in tracked]


def _as_patch(path: Path, root: Path) -> str:
    """Returns a patch that adds a file, without secrets; "" for a large or binary file."""
    try:
        if path.stat().st_size > FILE_BYTES:
            return ""
        text = path.read_bytes().decode()
    except (OSError, UnicodeDecodeError):
        return ""
    if "\0" in text:
        return ""
    text = redacted_code(text) if path.suffix == ".py" else redacted(text)
    name = _named(path, root)
    lines = text.split("\n")
    lines, end = (
        (lines[:-1], "") if text.endswith("\n") else (lines, "\\ No newline at end of file\n")
    )
    body = "".join(f"+{line}\n" for line in lines)
    head = f"diff --git a/{name} b/{name}\nnew file mode 100644\n--- /dev/null\n+++ b/{name}\n"
    return f"{head}@@ -0,0 +1,{len(lines)} @@\n{body}{end}" if text else head


def _named(path: Path, root: Path) -> str:
    return str(path.relative_to(root) if path.is_relative_to(root) else path).lstrip("/")


def _hash(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return "unreadable"
