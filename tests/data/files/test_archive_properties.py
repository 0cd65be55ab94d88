"""Random archives and damaged ones: images or a DataError, never anything else."""

from __future__ import annotations

import io
import tarfile
import warnings
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ganforge.data.files.entries import open_entries
from ganforge.data.sets.folder import ImageFolder
from ganforge.errors import GanforgeError
from tests.data.drawings import encoded, flat
from tests.support.properties import deterministic

PNG = encoded(flat((9, 200, 30), (4, 4)))
PARTS = st.sampled_from(
    ["a", "b", "..", ".", "train", "test", "x\\y", "ü", "\udcff", "\x1b[2J", ""]
)
NAMES = st.builds(
    lambda parts, suffix: "/".join([*parts, f"i{suffix}"]),
    st.lists(PARTS, max_size=3),
    st.sampled_from([".png", ".png/", ".zip", "", ".jpg"]),
)
CONTENTS = st.sampled_from([PNG, PNG[:40], b"", b"no image", b"%!PS-Adobe-3.0 EPSF-3.0"])
KINDS = st.sampled_from([*[tarfile.REGTYPE] * 4, b"1", b"2", b"3", b"6", b"5", b"x", b"Z"])
MEMBERS = st.lists(st.tuples(NAMES, CONTENTS, KINDS, NAMES), max_size=6)
DAMAGE = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=3)
QUICK = settings(
    deterministic,
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def tar(members, mode):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode, format=tarfile.GNU_FORMAT) as archive:
        for name, content, kind, link in members:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, link
            member.size = len(content) if kind == tarfile.REGTYPE else 0
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def zipped(members):
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w") as archive:
        warnings.simplefilter("ignore")
        for name, content, kind, _ in members:
            info = zipfile.ZipInfo(name.replace("\udcff", "ÿ"))
            info.external_attr = (0o120777 if kind == b"2" else 0) << 16
            info.create_system = 0 if kind == b"3" else 3
            archive.writestr(info, content)
    return buffer.getvalue()


@pytest.mark.parametrize("form", ["w", "w:gz", "w:xz", "zip"])
@QUICK
@given(members=MEMBERS, damage=DAMAGE, kept=st.floats(0.1, 1.5))
def test_archives_are_read_or_refused(tmp_path, form, members, damage, kept):
    packed = bytearray(zipped(members) if form == "zip" else tar(members, form))
    for place, value in damage:
        packed[int(place * (len(packed) - 1))] = value
    path = tmp_path / "archive"
    path.write_bytes(packed[: int(kept * len(packed))])
    said = ""
    try:
        entries = open_entries(path)
        assert entries.names == sorted(set(entries.names))
        ImageFolder(str(path), image_size=4, batch_size=1, max_unreadable=99).setup()
    except GanforgeError as error:
        said = str(error)
    said.encode()  # for the terminal, whatever names it holds
    assert "\x1b" not in said
    assert [found.name for found in tmp_path.iterdir()] == ["archive"]
