"""Archives and folders that are damaged, linked in circles, or larger than they declare."""

from __future__ import annotations

import gzip
import io
import os
import socket
import struct
import tarfile
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from attacks.bases import FLAT, FROM_FILES, images, png, translation
from attacks.probe import Outcome, Probe, copied

Make = Callable[[Path], object]
COUNT = 8


def _tar(path: Path, *extra: tarfile.TarInfo, mode: str = "w") -> None:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for i in range(COUNT):
            _put(archive, f"{i}.png", png(120 + i))
        for member in extra:
            archive.addfile(member)


def _put(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    archive.addfile(member, io.BytesIO(data))


def _member(name: str, kind: bytes, link: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, link
    return member


def _zip(path: Path, *extra: tuple[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of duplicate members
        for i in range(COUNT):
            archive.writestr(f"{i}.png", png(120 + i))
        for name, data in extra:
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)


def _cut(share: float, mode: str = "w", name: str = "x.tar") -> Make:
    def make(folder: Path) -> None:
        _tar(folder / name, mode=mode)
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: int(len(data) * share)])

    return make


def _cut_members(members: int) -> Make:
    """Truncates a tar between two members, so that it looks like a shorter tar."""

    def make(folder: Path) -> None:
        _tar(folder / "x.tar")
        with tarfile.open(folder / "x.tar") as archive:
            end = archive.getmembers()[members].offset
        (folder / "x.tar").write_bytes((folder / "x.tar").read_bytes()[:end])

    return make


def _flipped(name: str, place: Callable[[bytes], int], build: Make) -> Make:
    def make(folder: Path) -> None:
        build(folder)
        data = bytearray((folder / name).read_bytes())
        data[place(bytes(data))] ^= 0xFF
        (folder / name).write_bytes(data)

    return make


def _header(number: int) -> Make:
    def place(data: bytes) -> int:
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            return archive.getmembers()[number].offset + 150  # in the checksum

    return _flipped("x.tar", place, lambda folder: _tar(folder / "x.tar"))


def _lying_size(folder: Path) -> None:
    """A zip member that is larger than its declared size."""
    _zip(folder / "x.zip", ("bomb.png", bytes(300 * 2**20)))
    data = (folder / "x.zip").read_bytes()
    for wanted in (struct.pack("<I", 300 * 2**20),):
        data = data.replace(wanted, struct.pack("<I", 100))
    (folder / "x.zip").write_bytes(data)


def _encrypted(folder: Path) -> None:
    _zip(folder / "x.zip")
    data = bytearray((folder / "x.zip").read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = 0
        while (start := data.find(signature, start)) >= 0:
            data[start + offset] |= 1
            start += 4
    (folder / "x.zip").write_bytes(data)


def _raw_name(name: bytes) -> Make:
    def make(folder: Path) -> None:
        images(folder / "x", COUNT)
        with open(os.path.join(os.fsencode(folder), b"x", name), "wb") as file:
            file.write(png(99))

    return make


def _linked(*links: tuple[str, str]) -> Make:
    def make(folder: Path) -> None:
        images(folder / "x", COUNT)
        for name, target in links:
            path = folder / "x" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(target)

    return make


def _special(kind: str) -> Make:
    def make(folder: Path) -> None:
        images(folder / "x", COUNT)
        path = folder / "x" / "odd.png"
        if kind == "fifo":
            os.mkfifo(path)
        elif kind == "socket":
            here = os.getcwd()
            os.chdir(path.parent)
            with socket.socket(socket.AF_UNIX) as made:
                made.bind(path.name)
            os.chdir(here)
        elif kind == "folder":
            path.mkdir()
        else:
            path.symlink_to(kind)

    return make


def _huge_picture(side: int) -> Make:
    def make(folder: Path) -> None:
        images(folder / "x", COUNT)
        from PIL import Image

        Image.new("1", (side, side)).save(folder / "x" / "huge.png")

    return make


def _tar_of_huge(folder: Path) -> None:
    with tarfile.open(folder / "x.tar.gz", "w:gz", compresslevel=1) as archive:
        for i in range(COUNT):
            _put(archive, f"{i}.png", png(120 + i))
        member = tarfile.TarInfo("bomb.png")
        member.size = 3 * 2**30
        archive.addfile(member, _Zeros(member.size))


class _Zeros(io.RawIOBase):
    def __init__(self, size: int) -> None:
        self.left = size

    def read(self, size: int = -1) -> bytes:
        taken = min(self.left, size if size >= 0 else self.left, 2**20)
        self.left -= taken
        return bytes(taken)


def _bad_gzip(folder: Path) -> None:
    _tar(folder / "plain.tar")
    data = bytearray(gzip.compress((folder / "plain.tar").read_bytes()))
    data[-6] ^= 0xFF  # in the CRC
    (folder / "x.tgz").write_bytes(data)
    (folder / "plain.tar").unlink()


def _nested(folder: Path) -> None:
    images(folder / "x", COUNT)
    _zip(folder / "x" / "more.zip")


DAMAGED: dict[str, tuple[str, Make]] = {
    "a tar cut within a member": ("x.tar", _cut(0.5)),
    "a tar cut after three members": ("x.tar", _cut_members(3)),
    "a tar cut after the penultimate member": ("x.tar", _cut_members(7)),
    "a tar with a damaged header": ("x.tar", _header(4)),
    "a tar with a damaged last header": ("x.tar", _header(7)),
    "a tar.gz cut in half": ("x.tgz", _cut(0.5, "w:gz", "x.tgz")),
    "a tar.gz without its last bytes": ("x.tgz", _cut(0.99, "w:gz", "x.tgz")),
    "a tar.xz cut in half": ("x.txz", _cut(0.5, "w:xz", "x.txz")),
    "a tar.bz2 cut in half": ("x.tbz", _cut(0.5, "w:bz2", "x.tbz")),
    "a tar.gz with a wrong checksum": ("x.tgz", _bad_gzip),
    "a zip without its end": ("x.zip", lambda f: (_zip(f / "x.zip"), _shorten(f / "x.zip"))),
    "an encrypted zip": ("x.zip", _encrypted),
    "an empty file": ("x.zip", lambda f: (f / "x.zip").touch()),
    "an empty zip": ("x.zip", lambda f: zipfile.ZipFile(f / "x.zip", "w").close()),
    "an empty tar": ("x.tar", lambda f: tarfile.open(f / "x.tar", "w").close()),
    "a text file called x.zip": ("x.zip", lambda f: (f / "x.zip").write_text("no zip\n" * 100)),
    "an empty folder": ("x", lambda f: (f / "x").mkdir()),
    "/dev/zero": ("/dev/zero", lambda f: None),
    "/dev/null": ("/dev/null", lambda f: None),
    "a FIFO": ("x.tar", lambda f: os.mkfifo(f / "x.tar")),
    "a link to itself": ("x", lambda f: (f / "x").symlink_to("x")),
}
SOUND: dict[str, tuple[str, Make]] = {
    "a tar.gz of 3 GB of zeros": ("x.tar.gz", _tar_of_huge),
    "a tar": ("x.tar", lambda f: _tar(f / "x.tar")),
    "a tar.gz": ("x.tgz", lambda f: _tar(f / "x.tgz", mode="w:gz")),
    "a zip": ("x.zip", lambda f: _zip(f / "x.zip")),
    "a tar with a dangling link": (
        "x.tar",
        lambda f: _tar(f / "x.tar", _member("gone.png", tarfile.SYMTYPE, "missing.png")),
    ),
    "a tar with a link to itself": (
        "x.tar",
        lambda f: _tar(f / "x.tar", _member("me.png", tarfile.SYMTYPE, "me.png")),
    ),
    "a tar with two links to each other": (
        "x.tar",
        lambda f: _tar(
            f / "x.tar",
            _member("a.png", tarfile.SYMTYPE, "b.png"),
            _member("b.png", tarfile.SYMTYPE, "a.png"),
        ),
    ),
    "a tar with a hard link to nothing": (
        "x.tar",
        lambda f: _tar(f / "x.tar", _member("hard.png", tarfile.LNKTYPE, "missing.png")),
    ),
    "a tar with a FIFO": (
        "x.tar",
        lambda f: _tar(f / "x.tar", _member("fifo.png", tarfile.FIFOTYPE)),
    ),
    "a tar with a device": (
        "x.tar",
        lambda f: _tar(f / "x.tar", _member("device.png", tarfile.CHRTYPE)),
    ),
    "a tar with a link to /etc/passwd": (
        "x.tar",
        lambda f: _tar(f / "x.tar", _member("passwd.png", tarfile.SYMTYPE, "/etc/passwd")),
    ),
    "a folder that links to its parent": ("x", _linked(("sub/up", ".."))),
    "a folder with two links to itself": ("x", _linked(("a", "."), ("b", "."))),
    "a folder with a dangling link": ("x", _linked(("gone.png", "missing.png"))),
    "a folder with a link to itself": ("x", _linked(("me.png", "me.png"))),
    "a folder with a FIFO": ("x", _special("fifo")),
    "a folder with a socket": ("x", _special("socket")),
    "a folder called odd.png": ("x", _special("folder")),
    "a folder with a link to /dev/zero": ("x", _special("/dev/zero")),
    "a folder with a link to /dev/null": ("x", _special("/dev/null")),
    "a zip in a folder": ("x", _nested),
    "an image of 40,000 x 40,000": ("x", _huge_picture(40_000)),
    "a zip member of 1 GB": (
        "x.zip",
        lambda f: _zip(f / "x.zip", ("bomb.png", bytes(2**30))),
    ),
    "a zip member with a wrong declared size": ("x.zip", _lying_size),
    "a zip with names that contain ..": (
        "x.zip",
        lambda f: _zip(f / "x.zip", ("../../climb.png", png()), ("/root.png", png())),
    ),
    "a zip with a duplicate member": (
        "x.zip",
        lambda f: _zip(f / "x.zip", ("0.png", png(50)), ("0.png", png(60))),
    ),
    "a name in Latin-1": ("x", _raw_name(b"gr\xfc\xdfe.png")),
    "a name with an escape sequence": ("x", _raw_name(b"\x1b[2J\x1b]0;x\x07.png")),
    "a name with a line feed": ("x", _raw_name(b"a\nganforge: all is well.png")),
    "a damaged image with an escape sequence in its name": (
        "x",
        lambda f: (_raw_name(b"\x1b[31m.png")(f), _spoil(f / "x")),
    ),
}


def _shorten(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def _spoil(folder: Path) -> None:
    for path in folder.iterdir():
        if not path.name[0].isdigit():
            path.write_bytes(b"no picture")


def _train(path: str) -> list[str]:
    return [*FROM_FILES, f"data.path={path}"]


def _evaluate(path: str) -> list[str]:
    return ["evaluate", f"fake={path}", "real=sound", "metrics=[fid]", "image_size=16", *FLAT]


def _translate(path: str) -> list[str]:
    return ["translate", "run=run", f"input={path}", "out=out"]


def _at_least_sound(folder: Path, outcome: Outcome) -> str | None:
    made = len(list((folder / "out").rglob("*.png")))
    return None if made >= COUNT else f"{made} of {COUNT} sound images were translated"


def _prepared(make: Make, verb: str) -> Make:
    def prepare(folder: Path) -> None:
        make(folder)
        if verb == "evaluate":
            images(folder / "sound", COUNT)
        if verb == "translate":
            copied(translation())(_made(folder / "run"))

    return prepare


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def probes() -> Iterator[Probe]:
    """Yields probes of damaged and of unusual valid sets, for each command that reads images."""
    typed = {"train": _train, "evaluate": _evaluate, "translate": _translate}
    for verb, arguments in typed.items():
        for name, (path, make) in DAMAGED.items():
            prepared = _prepared(make, verb)
            yield Probe(f"archives ({verb})", name, arguments(path), prepared)
        for name, (path, make) in SOUND.items():
            yield Probe(
                f"archives ({verb})",
                name,
                arguments(path),
                _prepared(make, verb),
                (0, 1),  # skipped, or rejected with its name
                check=_at_least_sound if verb == "translate" else lambda folder, outcome: None,
            )
