import gzip
import io
import os
import pickle
import socket
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from ganforge.data.files import encoded, tape
from ganforge.data.files.encoded import read_whole
from ganforge.data.files.entries import open_entries
from ganforge.errors import DataError

PIXELS = b"pixels" * 200


def tar(members, mode="w", end=True):
    """Packs (name, content) or (name, type, link) in their order."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, *what in members:
            member = tarfile.TarInfo(name)
            if len(what) == 2:
                member.type, member.linkname = what
                archive.addfile(member)
            else:
                member.size = len(what[0])
                archive.addfile(member, io.BytesIO(what[0]))
    return buffer.getvalue()


FOUR = [(f"{i}.png", PIXELS) for i in range(4)]
SIZE = 512 + 1536  # of one of their members


def opened(tmp_path, content, name="a.tar"):
    path = tmp_path / name
    path.write_bytes(content)
    return open_entries(path)


@pytest.mark.parametrize("pack", ["zip", "tar"])
def test_names_that_lead_outside_are_inside(tmp_path, pack):
    names = {"/abs/x.png": "abs/x.png", "../../up.png": "up.png", "./a/../b/y.png": "b/y.png"}
    if pack == "tar":
        entries = opened(tmp_path, tar([(name, PIXELS) for name in names]))
    else:
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            for name in names:
                archive.writestr(name, PIXELS)
        entries = open_entries(tmp_path / "a.zip")
    assert entries.names == sorted(names.values())
    assert all(entries.read(name) == PIXELS for name in entries.names)


def test_usual_names_stay_unchanged(tmp_path):
    """`tar -cf x.tar .` writes them so, and they identify the images of existing runs."""
    assert opened(tmp_path, tar([("./a/0.png", PIXELS)])).names == ["./a/0.png"]


# ---------------------------------------------------------------------- damaged tars


@pytest.mark.parametrize("cut", [1, SIZE, 2 * SIZE, 2 * SIZE + 100, 2 * SIZE + 700, 4 * SIZE])
def test_a_tar_that_ends_early_is_refused(tmp_path, cut):
    with pytest.raises(
        DataError, match=r"a\.tar.*(truncated|damaged|unexpected end|not a zip or tar)"
    ):
        opened(tmp_path, tar(FOUR)[:cut])


@pytest.mark.parametrize("damage", [b"\xff" * 512, bytes(512)])
@pytest.mark.parametrize("place", [SIZE, 3 * SIZE])
def test_a_damaged_header_is_not_the_end(tmp_path, damage, place):
    whole = tar(FOUR)
    with pytest.raises(DataError, match="damaged"):
        opened(tmp_path, whole[:place] + damage + whole[place + 512 :])


def test_data_after_the_end_are_refused_unless_zeros(tmp_path):
    whole = tar(FOUR)
    assert len(opened(tmp_path, whole + bytes(5000)).names) == 4
    assert len(opened(tmp_path, whole[: 4 * SIZE + 1024]).names) == 4
    for more in (tar([("other.png", PIXELS)]), b"garbage"):
        with pytest.raises(DataError, match="data after the blocks"):
            opened(tmp_path, whole + more)


@pytest.mark.parametrize("mode", ["w:gz", "w:xz", "w:bz2"])
def test_compressed_tars_are_read_to_their_checksum(tmp_path, mode):
    packed = tar(FOUR, mode)
    assert len(opened(tmp_path, packed, "whole").names) == 4
    for cut in (len(packed) - 1, len(packed) - 9, len(packed) // 2):
        with pytest.raises(DataError, match=r"cannot be read|truncated"):
            opened(tmp_path, packed[:cut])
    if mode == "w:gz":
        with pytest.raises(DataError, match="CRC"):
            opened(tmp_path, packed[:-8] + b"\0\0\0\0" + packed[-4:])


# ---------------------------------------------------------------------- links


def test_links_inside_of_a_tar_are_followed_and_others_listed(tmp_path, caplog):
    soft, hard = tarfile.SYMTYPE, tarfile.LNKTYPE
    entries = opened(
        tmp_path,
        tar(
            [
                ("early.png", hard, "a/0.png"),
                ("a/0.png", PIXELS),
                ("b/soft.png", soft, "../a/0.png"),
                ("b/twice.png", soft, "soft.png"),
                ("dangling.png", soft, "missing.png"),
                ("loop.png", soft, "pool.png"),
                ("pool.png", soft, "loop.png"),
                ("self.png", hard, "self.png"),
                ("outside.png", soft, "/etc/passwd"),
                ("pipe.png", tarfile.FIFOTYPE, ""),
            ]
        ),
    )
    assert entries.names == ["a/0.png", "b/soft.png", "b/twice.png", "early.png"]
    assert {entries.read(name) for name in entries.names} == {PIXELS}
    assert {*entries.skipped} == {
        *("dangling.png", "loop.png", "pool.png", "self.png", "outside.png", "pipe.png")
    }
    (record,) = caplog.records
    assert "skipped 6 files: " in record.getMessage()


def test_folders_are_read_once_however_many_links_lead_to_them(tmp_path):
    (tmp_path / "a" / "deep").mkdir(parents=True)
    (tmp_path / "a" / "0.png").touch()
    (tmp_path / "elsewhere.png").touch()
    root = tmp_path / "a"
    for link, target in {
        "deep/up": "..",
        "deep/again": "..",
        "0link": "deep",
        "one.png": "../elsewhere.png",
        "gone.png": "nowhere.png",
        "loop.png": "loop.png",
        "null.png": "/dev/zero",
    }.items():
        (root / link).symlink_to(target)
    os.mkfifo(root / "pipe.png")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(root / "s.png"))
    entries = open_entries(root)
    assert entries.names == ["0.png", "one.png"]
    assert {*entries.skipped} == {
        *("deep/up", "deep/again", "0link", "gone.png", "loop.png", "null.png", "pipe.png", "s.png")
    }


def test_linked_folders_outside_are_read(tmp_path):
    (tmp_path / "cats").mkdir()
    (tmp_path / "cats" / "1.png").write_bytes(b"cat")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "cat").symlink_to(tmp_path / "cats")
    entries = open_entries(tmp_path / "set")
    assert (entries.names, entries.read("cat/1.png")) == (["cat/1.png"], b"cat")


def test_a_path_that_is_no_file_is_never_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    for path, what in ((tmp_path / "pipe", "a FIFO"), (Path("/dev/zero"), "a device")):
        with pytest.raises(DataError, match=f"is {what}; expected a folder"):
            open_entries(path)
    with pytest.raises(DataError, match="cannot be read: "):
        open_entries(tmp_path / "loop")
    # What became a FIFO after it was listed.
    (tmp_path / "x.png").touch()
    entries = open_entries(tmp_path)
    (tmp_path / "x.png").unlink()
    os.mkfifo(tmp_path / "x.png")
    with pytest.raises(OSError, match="is a FIFO"):
        entries.read("x.png")


# ---------------------------------------------------------------------- names


def zipped(members, system=3):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for place, (name, content) in enumerate(members):
            info = zipfile.ZipInfo(chr(65 + place) * len(os.fsencode(name)))
            info.create_system = system
            info.external_attr = (stat.S_IFREG | 0o644) << 16
            archive.writestr(info, content)
    packed = buffer.getvalue()
    for place, (name, _) in enumerate(members):  # as they are, without a flag for UTF-8
        raw = os.fsencode(name)
        packed = packed.replace(bytes([65 + place]) * len(raw), raw)
    return packed


def test_zips_of_windows_and_of_macos_have_folders_and_umlauts(tmp_path):
    packed = zipped([(r"pets\kätzchen\0.png", b"0"), (r"pets\dog\1.png", b"1")])
    assert opened(tmp_path, packed).names == ["pets/dog/1.png", "pets/kätzchen/0.png"]
    packed = zipped([(r"a/b\c.png", b"0")])
    assert opened(tmp_path, packed).names == [r"a/b\c.png"]
    packed = zipped([(r"a/b\c.png", b"0")], system=0)
    assert opened(tmp_path, packed).names == ["a/b/c.png"]


def test_names_that_are_no_text_are_read_and_escaped(tmp_path, caplog):
    folder = os.fsencode(tmp_path / "f")
    os.mkdir(folder)
    with open(folder + b"/\xff\x1b[2J.png", "wb") as file:
        file.write(b"0")
    os.symlink(b"nowhere", folder + b"/\xfe\x1b.png")
    entries = open_entries(tmp_path / "f")
    assert entries.read(entries.names[0]) == b"0"
    message = caplog.records[0].getMessage()
    assert "\x1b" not in message
    message.encode()
    packed = opened(tmp_path, zipped([("\udcff.png", b"1")]))
    assert packed.read(packed.names[0]) == b"1"
    taped = opened(tmp_path, tar([("\udcff.png", b"2")]))
    assert taped.read(taped.names[0]) == b"2"


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_the_last_of_several_members_with_one_name_counts_with_a_warning(tmp_path, caplog):
    members = [("a.png", b"old"), ("b.png", b"0"), ("a.png", b"new")]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members:
            archive.writestr(name, content)
    for packed in (tar(members), buffer.getvalue()):
        caplog.clear()
        entries = opened(tmp_path, packed)
        assert entries.names == ["a.png", "b.png"]
        assert entries.read("a.png") == b"new"
        (record,) = caplog.records
        assert "a.png (replaced by a later member of the same name)" in record.getMessage()


def test_archives_in_archives_are_named(tmp_path, caplog):
    inner = zipped([("a.png", b"0")])
    with pytest.raises(DataError, match=r"no images: skipped 1 file: train\.zip \(an archive"):
        opened(tmp_path, zipped([("train.zip", inner)]), "outer")
    opened(tmp_path, tar([("train.tar.gz", inner), ("a.png", b"0")]), "outer")
    assert "train.tar.gz (an archive in the archive)" in caplog.text
    with pytest.raises(DataError, match="to read it, set the path to it"):
        open_entries(_folder_of(tmp_path, "only", "a.zip"))


def _folder_of(tmp_path, folder, name):
    (tmp_path / folder).mkdir()
    (tmp_path / folder / name).touch()
    return tmp_path / folder


# ---------------------------------------------------------------------- sizes


def test_encrypted_members_are_refused(tmp_path):
    packed = bytearray(zipped([("a.png", b"0"), ("b.png", b"1")]))
    packed[packed.rindex(b"PK\1\2") + 8] |= 1
    with pytest.raises(DataError, match=r"1 of 2 images are encrypted, such as b\.png"):
        opened(tmp_path, bytes(packed))


@pytest.mark.parametrize("pack", ["zip", "tar", "folder"])
def test_a_file_beyond_the_limit_is_not_read(tmp_path, pack):
    root = tmp_path / "f"
    root.mkdir()
    content = bytes(encoded.MAX_FILE_BYTES // 2**18 + 1)
    for name, data in (("large.png", content), ("small.png", b"0")):
        (root / name).write_bytes(data)
    path = tmp_path / "packed" if pack != "folder" else root
    if pack == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("large.png", content)
            archive.writestr("small.png", b"0")
    elif pack == "tar":
        path.write_bytes(tar([("large.png", content), ("small.png", b"0")], "w:gz"))
    entries = open_entries(path, max_bytes=1000)
    assert entries.read("small.png") == b"0"
    with pytest.raises(
        DataError, match=r"is 2,049 bytes; an image .* may have at most 1,000 bytes"
    ):
        entries.read("large.png")
    assert entries.stamp("large.png").startswith("2049 ")


def test_file_sizes_are_bounded_regardless_of_headers():
    assert read_whole(io.BytesIO(b"12345"), 5, 2) == b"12345"
    with pytest.raises(DataError, match="is larger than 4 bytes"):
        read_whole(io.BytesIO(b"12345"), 4, 2)


def test_a_large_tar_is_read_from_disk(tmp_path, monkeypatch):
    members = [("a.png", b"first"), ("b.png", b"other"), ("c.png", tarfile.SYMTYPE, "b.png")]
    members.append(("a.png", b"last"))
    held = opened(tmp_path, tar(members))
    monkeypatch.setattr("ganforge.data.files.archive_entries.MAX_HELD", 4000)
    read = opened(tmp_path, tar(members))
    assert read._data == {}
    assert read.names == held.names == ["a.png", "b.png", "c.png"]
    assert [read.read(name) for name in read.names] == [b"last", b"other", b"other"]
    assert [held.read(name) for name in held.names] == [b"last", b"other", b"other"]
    assert read.stamp("b.png").startswith("5 at ")
    assert pickle.loads(pickle.dumps(read)).read("b.png") == b"other"


def test_a_tar_above_4_gb(tmp_path):
    """A sparse file: 4.5 GB of zeros between two images, the last one behind 32-bit offsets."""
    with open(tmp_path / "a.tar", "wb") as file:
        for name, data, hole in (("a.png", b"1", 0), ("b.bin", b"", 9 * 2**29), ("c.png", b"2", 0)):
            member = tarfile.TarInfo(name)
            member.size = len(data) + hole
            file.write(member.tobuf(tarfile.GNU_FORMAT) + data)
            file.seek(-(-(file.tell() + hole) // 512) * 512)
        file.truncate(file.tell() + 1024)
    entries = open_entries(tmp_path / "a.tar")
    assert [entries.read(name) for name in entries.names] == [b"1", b"2"]


def test_tars_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr("ganforge.data.files.archive_entries.MAX_HELD", 4000)
    with pytest.raises(DataError, match="held in memory, take over 4,000 bytes"):
        opened(tmp_path, tar([(f"{n}.png", os.urandom(900)) for n in range(4)], "w:gz"))
    monkeypatch.setattr(tape, "MAX_UNPACKED", 2**20)
    with pytest.raises(DataError, match="unpacks to over 1 MB"):
        opened(tmp_path, tar([("a.txt", bytes(2**21)), ("b.png", b"0")], "w:gz"))
    header = bytearray(tar([("x", tarfile.XHDTYPE, "")])[:512])
    header[124:136] = b"77777777777\0"
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    with pytest.raises(DataError, match=r"a\.tar"):
        opened(tmp_path, gzip.compress(bytes(header) + bytes(10**6)))
