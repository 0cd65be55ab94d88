"""Tells a run's own files from foreign ones by exact names; only its own are ever removed."""

from __future__ import annotations

import contextlib
import errno
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from ganforge import atomic
from ganforge.errors import ConfigError
from ganforge.runs.lock import LOCK

COMPOSED = "composed.yaml"
LISTED = 5  # names listed in a message

_FILES = re.compile(
    r"(composed|config)\.yaml|(choices|changes|provenance|summary|evaluation)\.json"
    r"|metrics\.csv(\.damaged(-\d+)?)?|(code|workspace)(-\d+)?\.diff|report\.html|\.lock"
)
_PICTURES = re.compile(r".+\.png", re.DOTALL)
# The subfolders of a run, and the names of the files in each.
_TREE: dict[str, re.Pattern[str]] = {
    "checkpoints": re.compile(r"(last|previous|best)\.ckpt"),
    "samples": re.compile(
        r"reals\.png|training\.gif|step_\d{7,}\.png|(sample|styles)-s-?\d+-n\d+[\w.-]*\.(png|npz)"
    ),
    "tensorboard": re.compile(r"events\.out\.tfevents\..+|hparams\.yaml"),
    "translated": _PICTURES,
    "wandb": re.compile(r"run_id|settings|debug(-\w+)?\.log|wandb-resume\.json|latest-run"),
}
FOLDERS = tuple(_TREE)
# W&B's folders, one per process: all files in their known subfolders count as the run's.
_WANDB_RUN = re.compile(r"(offline-)?run-\d{8}_\d{6}-[\w-]+")
_WANDB_PART = re.compile(r"files|logs|tmp|run-[\w-]+\.wandb(\.synced)?")
# A run folder has composed.yaml and at least one of these files.
SIGNS = ("config.yaml", "choices.json", "summary.json", "provenance.json")


@dataclass
class Contents:
    """The contents of a run folder, sorted into own and foreign ones.

    Attributes:
        files: the run's own files, and links under their names; composed.yaml is last.
        folders: the run's own subfolders, deepest first.
        links: the links among ``files``, without those of W&B.
        foreign: files, folders and links that no run writes.
    """

    files: list[Path] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)
    links: list[Path] = field(default_factory=list)
    foreign: list[Path] = field(default_factory=list)

    @classmethod
    def of(cls, folder: Path, subfolder: str = "") -> Contents:
        """Lists a run folder without following links.

        Args:
            folder: a run folder, or one of its subfolders.
            subfolder: name of the subfolder, such as "checkpoints"; "" for the run folder.

        Raises:
            OSError: a folder cannot be read.
        """
        contents = cls()
        contents._scan(folder, tuple(Path(subfolder).parts))
        contents.files.sort(key=lambda path: path.name == COMPOSED)
        return contents

    def _scan(self, folder: Path, parents: tuple[str, ...]) -> None:
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
            path = Path(entry.path)
            if entry.is_symlink() and _is_link_of_run(parents, entry.name):
                self.files.append(path)
                if parents[:1] != ("wandb",):
                    self.links.append(path)
            elif entry.is_dir(follow_symlinks=False) and _is_folder(parents, entry.name):
                with contextlib.suppress(FileNotFoundError):  # removed by another process
                    self._scan(path, (*parents, entry.name))
                    self.folders.append(path)
            elif entry.is_file(follow_symlinks=False) and _is_file(parents, entry.name):
                self.files.append(path)
            else:
                self.foreign.append(path)


def is_run(folder: Path) -> bool:
    """Whether a folder has the configuration of a run and another file that only runs write."""
    return (folder / COMPOSED).is_file() and any((folder / sign).is_file() for sign in SIGNS)


def refuse_run(out: Path) -> None:
    """Rejects an output folder inside a run, since a run with foreign files cannot be removed.

    Raises:
        ConfigError: ``out`` is a run folder, or a subfolder that the run itself writes to.
    """
    own = out if is_run(out) else out.parent if out.name in FOLDERS and is_run(out.parent) else None
    if own is not None:
        raise ConfigError(
            f"out={out} is in the folder of a run, {own}, which contains the run's own files: give "
            "another folder"
        )


def remove_own(contents: Contents, keep: tuple[str, ...] = ()) -> None:
    """Removes a run's own files one by one; for a link, the link and not its target.

    Subfolders with foreign files stay. Another process may remove the same folder at once.

    Args:
        contents: the listed contents.
        keep: names of files to keep.

    Raises:
        OSError: a file or folder cannot be removed.
    """
    for path in contents.files:
        if path.name not in keep:
            path.unlink(missing_ok=True)
    for folder in contents.folders:
        try:
            folder.rmdir()
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTEMPTY, errno.EEXIST):
                raise


def named(paths: list[Path], root: Path) -> str:
    """Returns paths relative to ``root`` as text for messages: ``a, b and 3 more``."""
    text = ", ".join(str(path.relative_to(root)) for path in paths[:LISTED])
    return text + (f" and {len(paths) - LISTED} more" if len(paths) > LISTED else "")


def linked_folders(run: Path) -> list[Path]:
    """Returns the subfolders of a run that are links, through which files are written elsewhere."""
    return [run / name for name in FOLDERS if (run / name).is_symlink()]


def _is_file(parents: tuple[str, ...], name: str) -> bool:
    if not parents:
        return _FILES.fullmatch(name) is not None or atomic.is_temporary(name)
    if parents[0] == "wandb" and len(parents) > 1:
        return name != LOCK and (len(parents) > 2 or _WANDB_PART.fullmatch(name) is not None)
    if parents[0] == "translated" and len(parents) == 1:
        return False
    return _TREE[parents[0]].fullmatch(name) is not None or atomic.is_temporary(name)


def _is_folder(parents: tuple[str, ...], name: str) -> bool:
    if not parents:
        return name in _TREE
    if parents == ("wandb",):
        return _WANDB_RUN.fullmatch(name) is not None
    if parents[0] == "wandb":
        return len(parents) > 2 or _WANDB_PART.fullmatch(name) is not None
    return parents[0] == "translated"


def _is_link_of_run(parents: tuple[str, ...], name: str) -> bool:
    """Whether a link counts as the run's own: any in its subfolders, else by its name.

    Removing a link never touches its target.
    """
    return bool(parents) or _FILES.fullmatch(name) is not None or name in _TREE
