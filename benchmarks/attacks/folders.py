"""Commands that delete or overwrite, pointed at files that do not belong to a run."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from attacks.bases import TRAIN, gan
from attacks.probe import Outcome, Probe

DAY = Path("logs/train/2026-01-02")
RUN = DAY / "01-00-00-gan-fake-s0"
Make = Callable[[Path], object]


def _tree(folder: Path) -> dict[str, bytes]:
    """Returns all files and links below a folder that the probe itself created."""
    found = {}
    for place, below, files in os.walk(folder):
        for name in [*files, *below]:
            path = Path(place, name)
            key = str(path.relative_to(folder))
            if path.is_symlink():
                found[key] = b"-> " + os.fsencode(os.readlink(path))
            elif path.is_file():
                found[key] = path.read_bytes()
    return found


def kept(*names: str) -> Callable[[Path, Outcome], str | None]:
    """Returns a check that the files ``names`` still exist (links: as links)."""

    def check(folder: Path, outcome: Outcome) -> str | None:
        gone = [name for name in names if not os.path.lexists(folder / name)]
        return f"{', '.join(gone)} is gone" if gone else None

    return check


def gone(*names: str) -> Callable[[Path, Outcome], str | None]:
    """Returns a check that the files ``names`` are removed."""

    def check(folder: Path, outcome: Outcome) -> str | None:
        left = [name for name in names if os.path.lexists(folder / name)]
        return f"{', '.join(left)} is left" if left else None

    return check


def _mine(**files: str) -> Make:
    def make(folder: Path) -> None:
        (folder / "mine").mkdir()
        for name, text in files.items():
            (folder / "mine" / name.replace("__", ".")).write_text(text)

    return make


def _copy(to: str = str(RUN)) -> Make:
    return lambda folder: shutil.copytree(gan(), folder / to)


def _both(*makes: Make) -> Make:
    def make(folder: Path) -> None:
        for one in makes:
            one(folder)

    return make


def _link(name: str, target: str) -> Make:
    def make(folder: Path) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        path.symlink_to(target.replace("{outside}", str(folder.parent / "outside")))

    return make


def _without_checkpoints(folder: Path) -> None:
    _copy("mine")(folder)
    shutil.rmtree(folder / "mine" / "checkpoints")
    (folder / "mine" / "metrics.csv").touch()  # three steps may log nothing


def _thesis(folder: Path) -> None:
    (folder / "mine" / "thesis.tex").write_text("years of work")


HERE = [*TRAIN, "run_dir=mine"]
REMOVE = ["runs", "remove=true"]


def probes() -> Iterator[Probe]:
    """Yields the probes."""
    yield from _into_a_folder()
    yield from _removals()
    yield from _links()


def _into_a_folder() -> Iterator[Probe]:
    family = "run_dir of others' files"
    for name in ("composed.yaml", "composed.yaml.bak", "composed.yaml.tmp.1", ".lock", "notes.txt"):
        yield Probe(
            family,
            f"a thesis next to {name}",
            HERE,
            _mine(thesis__tex="years", **{name.replace(".", "__"): "x"}),
            (0, 1, 2),
            check=kept("mine/thesis.tex"),
        )
    for name in ("checkpoints", "samples", "wandb", "tensorboard", ".git", "data"):
        yield Probe(
            family,
            f"a folder called {name} with a file",
            HERE,
            lambda folder, name=name: (
                (folder / "mine" / name).mkdir(parents=True),
                (folder / "mine" / name / "thesis.tex").write_text("years"),
                (folder / "mine" / "composed.yaml").write_text("seed: 0"),
            ),
            (0, 1, 2),
            check=kept(f"mine/{name}/thesis.tex"),
        )
    yield Probe(
        family,
        "a completed run without checkpoints",
        HERE,
        _without_checkpoints,
        (1, 2),
        check=kept("mine/metrics.csv", "mine/summary.json"),
    )
    yield Probe(
        family,
        "a completed run without checkpoints, and notes",
        HERE,
        _both(_without_checkpoints, _thesis),
        (1, 2),
        check=kept("mine/metrics.csv", "mine/thesis.tex"),
    )
    yield Probe(
        family,
        "a folder that is a link",
        HERE,
        _both(_link("mine", "{outside}")),
        (0, 1, 2),
    )
    yield Probe(
        family,
        "a run folder whose samples/ is a link",
        HERE,
        _both(_without_checkpoints, _link("mine/samples", "{outside}")),
        (1, 2),
    )
    yield Probe(family, "a file", HERE, lambda f: (f / "mine").write_text("x"), (1, 2))
    yield Probe(family, "below a file", [*TRAIN, "run_dir=mine/run"],
                lambda f: (f / "mine").write_text("x"), (1, 2))  # fmt: skip
    yield Probe(family, "/proc/1/x", [*TRAIN, "run_dir=/proc/1/x"], codes=(1, 2))
    yield Probe(family, "/dev/null", [*TRAIN, "run_dir=/dev/null"], codes=(1, 2))
    for verb, typed in {
        "sample": ["sample", f"run={RUN}", "n=2", "out=mine"],
        "compare": ["compare", "runs=logs", "out=mine"],
        "report": ["report", f"run={RUN}", "out=mine/r.html"],
    }.items():
        yield Probe(
            "out= with others' files",
            verb,
            typed,
            _both(_copy(), _mine(thesis__tex="years")),
            (0, 1, 2),
            check=kept("mine/thesis.tex", str(RUN / "summary.json")),
        )


def _removals() -> Iterator[Probe]:
    family = "runs remove=true"
    every = [*REMOVE, "runs=logs/train/*/*"]
    yield Probe(family, "a valid run", every, _copy(), (0,), check=gone(str(RUN)))
    yield Probe(
        family,
        "a link to a run in another folder",
        every,
        lambda folder: (
            shutil.copytree(gan(), folder / "archive"),
            _link(str(DAY / "linked"), str(folder / "archive"))(folder),
        ),
        (0, 1, 2),
        check=kept("archive/summary.json"),
    )
    yield Probe(
        family,
        "runs=LINK",
        [*REMOVE, "runs=linked"],
        lambda folder: (
            shutil.copytree(gan(), folder / "archive"),
            (folder / "linked").symlink_to("archive"),
        ),
        (0, 1, 2),
        check=kept("archive/summary.json"),
    )
    for where in (DAY, DAY.parent, DAY.parent.parent, Path()):
        yield Probe(
            family,
            f"a stray composed.yaml in {where}",
            [*REMOVE, "status=killed"],
            _both(_copy(), lambda f, where=where: (f / where / "composed.yaml").write_text("a: 1")),
            (0, 1, 2),
            check=kept(str(RUN / "summary.json")),
        )
    yield Probe(
        family,
        "a project with composed.yaml",
        [*REMOVE, "runs=project"],
        lambda folder: (
            (folder / "project" / "src").mkdir(parents=True),
            (folder / "project" / "composed.yaml").write_text("seed: 0"),
            (folder / "project" / "src" / "model.py").write_text("x = 1"),
        ),
        (0, 1, 2),
        check=kept("project/src/model.py"),
    )
    for name in ("thesis.tex", "checkpoints/mine.ckpt", "samples/mine.txt", ".git/HEAD"):
        yield Probe(
            family,
            f"a run with an unrelated {name}",
            every,
            _both(
                _copy(),
                lambda f, name=name: (
                    (f / RUN / name).parent.mkdir(exist_ok=True),
                    (f / RUN / name).write_text("mine"),
                ),
            ),
            (0, 1, 2),
            check=kept(str(RUN / name)),
        )
    for name in ("samples", "checkpoints", "wandb", "samples/more"):
        yield Probe(
            family,
            f"a run whose {name} is a link",
            every,
            _both(_copy(), _link(str(RUN / name), "{outside}")),
            (0, 1, 2),
        )
    yield Probe(
        family,
        "a run inside a run",
        [*every, "sort=age"],
        _both(_copy(), _copy(str(RUN / "deeper" / "run"))),
        (0, 1, 2),
        check=kept(str(RUN / "summary.json")),
    )
    for where in ("logs", "logs/train", ".", "..", "/", "~"):
        yield Probe(
            family,
            f"runs={where} without runs of a name",
            [*REMOVE, f"runs={where}", "status=failed"],
            _copy(),
            (0, 1, 2),
            check=kept(str(RUN / "summary.json")),
            environment={"HOME": "/nonexistent"},
        )


def _links() -> Iterator[Probe]:
    family = "links in a run"
    resume = ["train", "resume=run", "trainer.max_steps=5"]
    for name in (
        ".lock",
        "metrics.csv",
        "summary.json",
        "composed.yaml",
        "config.yaml",
        "provenance.json",
        "choices.json",
        "changes.json",
    ):
        yield Probe(
            family,
            f"{name} links to a file of the user's, resume",
            resume,
            _both(_copy("run"), _link(f"run/{name}", "{outside}/precious.txt")),
            (0, 1, 2),
        )
        yield Probe(
            family,
            f"{name} links to a file that is not there, resume",
            resume,
            _both(_copy("run"), _link(f"run/{name}", "{outside}/new.txt")),
            (0, 1, 2),
        )
    for name in ("samples", "checkpoints", "wandb", "translated", "tensorboard"):
        yield Probe(
            family,
            f"{name} links to a folder of the user's, resume",
            resume,
            _both(_copy("run"), _link(f"run/{name}", "{outside}/folder")),
            (0, 1, 2),
        )
    yield Probe(
        family,
        "samples links to a folder of the user's, sample",
        ["sample", "run=run", "n=2"],
        _both(_copy("run"), _link("run/samples", "{outside}/folder")),
        (0, 1, 2),
    )
    for name in (".lock", "summary.json", "metrics.csv"):
        yield Probe(
            family,
            f"{name} is a FIFO, runs",
            ["runs", "runs=run"],
            _both(
                _copy("run"),
                lambda f, name=name: (
                    (f / "run" / name).unlink(missing_ok=True),
                    os.mkfifo(f / "run" / name),
                ),
            ),
            (0, 1),
        )
