"""Run folders whose files are damaged, replaced, or hostile."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from attacks.bases import gan
from attacks.probe import Outcome, Probe

SMALL = [
    "metrics.csv",
    "summary.json",
    "provenance.json",
    "choices.json",
    "config.yaml",
    "composed.yaml",
]


def _deep(path: Path) -> None:
    path.write_text("[" * 100_000 + "]" * 100_000)


def _aliases(path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
    path.write_text("\n".join(lines))


def _fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _spoil_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] = 0xFF
    path.write_bytes(data)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "emptied": lambda path: path.write_bytes(b""),
    "cut in half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "with a byte 0xff": _spoil_byte,
    "of zeros": lambda path: path.write_bytes(bytes(1000)),
    "with one long field": lambda path: path.write_text("a,b\n" + "x" * 200_000 + ",1\n"),
    "of another type": lambda path: path.write_text("[1, 2]"),
    "of a number": lambda path: path.write_text("7"),
    "nested deeply": _deep,
    "of a billion aliases": _aliases,
    "a FIFO": _fifo,
    "a folder": _folder,
    "missing": lambda path: path.unlink(),
}
# Commands that list runs must skip a damaged one; commands that need the file may report it.
LISTING = [
    ["runs", "runs=logs"],
    ["compare", "runs=logs", "out=table"],
]


def _two_runs(folder: Path, name: str, damage: Callable[[Path], object]) -> None:
    day = folder / "logs" / "train" / "2026-01-02"
    for run in ("01-00-00-gan-fake-s0", "02-00-00-gan-fake-s1"):
        shutil.copytree(gan(), day / run)
    path = day / "01-00-00-gan-fake-s0" / name
    if not path.exists():
        path.write_text("{}")
    damage(path)


def _sound_run_listed(folder: Path, outcome: Outcome) -> str | None:
    return None if "02-00-00" in outcome.output else "the sound run is not listed"


def _prepare(name: str, damage: Callable[[Path], object]) -> Callable[[Path], None]:
    return lambda folder: _two_runs(folder, name, damage)


def probes() -> Iterator[Probe]:
    """Yields every damage of every small file, for listing, resuming and sampling."""
    run = "logs/train/2026-01-02/01-00-00-gan-fake-s0"
    resume = ["train", f"resume={run}", "trainer.max_steps=5"]
    for name in SMALL:
        for kind, damage in DAMAGES.items():
            prepare = _prepare(name, damage)
            title = f"{name} {kind}"
            listed = {"check": _sound_run_listed} if kind != "missing" else {}
            yield Probe("damaged files (runs)", title, LISTING[0], prepare, (0, 1), **listed)
            yield Probe("damaged files (resume)", title, resume, prepare, (0, 1, 2))
    for kind in ("cut in half", "of a billion aliases", "nested deeply", "a FIFO"):
        for name in ("config.yaml", "summary.json", "metrics.csv"):
            prepare = _prepare(name, DAMAGES[kind])
            title = f"{name} {kind}"
            sample = ["sample", f"run={run}", "n=2", "out=x.png"]
            yield Probe("damaged files (sample)", title, sample, prepare, (0, 1, 2))
            yield Probe("damaged files (compare)", title, LISTING[1], prepare, (0, 1))
            report = ["report", f"run={run}", "out=r.html"]
            yield Probe("damaged files (report)", title, report, prepare, (0, 1, 2))
    yield from _checkpoint_probes()


def _flip(share: float, kind: str = "last") -> Callable[[Path], None]:
    def prepare(folder: Path) -> None:
        shutil.copytree(gan(), folder / "run")
        path = folder / "run" / "checkpoints" / f"{kind}.ckpt"
        data = bytearray(path.read_bytes())
        data[int(len(data) * share)] ^= 0x10
        path.write_bytes(data)
        _unfinished(folder / "run")

    return prepare


def _unfinished(run: Path) -> None:
    summary = json.loads((run / "summary.json").read_text())
    (run / "summary.json").write_text(json.dumps(summary | {"status": "interrupted"}))


def _other(contents: Callable[[Path], object], both: bool) -> Callable[[Path], None]:
    def prepare(folder: Path) -> None:
        shutil.copytree(gan(), folder / "run")
        for kind in ("last", "previous") if both else ("last",):
            contents(folder / "run" / "checkpoints" / f"{kind}.ckpt")
        _unfinished(folder / "run")

    return prepare


def _zeros(path: Path) -> None:
    import torch

    torch.save({"state_dict": {}, "progress": 3}, path)


class _Pickled:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch ../outside/pwned",)


def _pickle(path: Path) -> None:
    import torch

    torch.save({"state_dict": _Pickled()}, path)


def _nan(path: Path) -> None:
    import torch

    checkpoint = torch.load(path, weights_only=True)
    for value in checkpoint["state_dict"].values():
        if value.is_floating_point():
            value.fill_(float("nan"))
    torch.save(checkpoint, path)


CHECKPOINTS: dict[str, Callable[[Path], object]] = {
    "emptied": lambda path: path.write_bytes(b""),
    "cut in half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "of text": lambda path: path.write_text("no checkpoint"),
    "of another structure": _zeros,
    "that runs code": _pickle,
    "a FIFO": _fifo,
    "a folder": _folder,
}


def _checkpoint_probes() -> Iterator[Probe]:
    resume = ["train", "resume=run", "trainer.max_steps=5"]
    sample = ["sample", "run=run", "n=2", "out=x.png"]
    for place in range(20):
        share = (place + 0.5) / 20
        # A flipped bit in padding changes nothing; one in a record must be reported.
        yield Probe(
            "damaged checkpoints",
            f"a bit flipped at {share:.1%}, resume",
            resume,
            _flip(share),
            (0, 1),
            check=_named_or_equal,
        )
    for kind, contents in CHECKPOINTS.items():
        for verb, typed in (("resume", resume), ("sample", sample)):
            one = Probe(
                "damaged checkpoints", f"last {kind}, {verb}", typed, _other(contents, False), (0,)
            )
            refused = kind == "of another structure" or (kind, verb) == ("a folder", "resume")
            yield _refusing(one) if refused else one
            yield Probe(
                "damaged checkpoints",
                f"last and previous {kind}, {verb}",
                typed,
                _other(contents, True),
                (1, 2),
                never="weights_only",
            )
    yield Probe("damaged checkpoints", "NaN weights, sample", sample, _other(_nan, True), (0, 1),
                says="not finite|nan")  # fmt: skip


def _refusing(probe: Probe) -> Probe:
    return Probe(probe.family, probe.name, probe.arguments, probe.prepare, (0, 1, 2))


def _named_or_equal(folder: Path, outcome: Outcome) -> str | None:
    import torch

    if outcome.code != 0 or "previous.ckpt" in outcome.output:
        return None
    ours = torch.load(folder / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    for key, value in _continued()["state_dict"].items():
        if not torch.equal(ours["state_dict"][key], value):
            return f"resumed silently, and {key} differs"
    return None


_CONTINUED: dict[str, object] = {}


def _continued() -> dict[str, dict[str, object]]:
    """Returns the checkpoint of the same run, resumed without damage."""
    import tempfile

    import torch

    from attacks.probe import command

    if not _CONTINUED:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / "work"
            shutil.copytree(gan(), folder / "run")
            _unfinished(folder / "run")
            outcome = command(["train", "resume=run", "trainer.max_steps=5"], folder)
            assert outcome.code == 0, outcome.output
            path = folder / "run" / "checkpoints" / "last.ckpt"
            _CONTINUED.update(torch.load(path, weights_only=True))
    return _CONTINUED  # type: ignore[return-value]
