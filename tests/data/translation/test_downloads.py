import io
import logging
import tarfile
import urllib.error
import urllib.request
import zipfile

import pytest

from ganforge.data.files import download as downloading
from ganforge.data.files.download import fetch, unpack
from ganforge.data.translation.archives import CycleGANArchive, Pix2PixArchive
from ganforge.data.translation.cityscapes import Cityscapes
from ganforge.errors import ConfigError, DataError
from tests.data.atlas import atlas, side_by_side
from tests.data.drawings import encoded, flat, save

SIZES = {"image_size": 16, "load_size": 20}


def pairs(stem, parts):
    image = encoded(side_by_side(atlas(1), atlas(2)), "JPEG")
    return {f"{stem}/{part}/{i}.jpg": image for part, n in parts.items() for i in range(n)}


def tar(members):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def zipped(members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


class Answer(io.BytesIO):
    def __init__(self, content, announced=None):
        super().__init__(content)
        self.headers = {} if announced is None else {"Content-Length": str(announced)}


@pytest.fixture
def server(monkeypatch, tmp_path):
    """A fake network with the given pages, which records requests."""
    pages, asked = {}, []

    def urlopen(url, timeout):
        assert 0 < timeout <= 60
        asked.append(url)
        if url not in pages:
            raise urllib.error.URLError("[Errno -2] Name or service not known")
        return Answer(pages[url], len(pages[url]))

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    monkeypatch.setenv("GANFORGE_DATA", str(tmp_path / "cache"))
    return pages, asked


PIX2PIX = "http://efrosgans.eecs.berkeley.edu/pix2pix/datasets/{}.tar.gz"
CYCLEGAN = "http://efrosgans.eecs.berkeley.edu/cyclegan/datasets/{}.zip"


def test_pairs_are_downloaded_once_and_unpacked(server, tmp_path):
    pages, asked = server
    pages[PIX2PIX.format("facades")] = tar(pairs("facades", {"train": 4, "val": 3, "test": 2}))
    for _ in range(2):
        data = Pix2PixArchive(**SIZES)
        data.prepare_data()
        assert (data.size("train"), data.size("test")) == (4, 2)
    assert asked == [PIX2PIX.format("facades")]
    found = sorted(path.name for path in (tmp_path / "cache" / "facades").iterdir())
    assert found == ["facades"]  # the archive is gone


def test_cached_files_are_not_downloaded_again(server, tmp_path):
    pages, _ = server
    pages[PIX2PIX.format("maps")] = tar(pairs("maps", {"train": 4, "val": 3}))
    note = tmp_path / "cache" / "maps" / "maps.txt"
    note.parent.mkdir(parents=True)
    note.write_text("mine")
    (note.parent / "maps").mkdir()  # empty, as after a move that was killed
    data = Pix2PixArchive(name="maps", **SIZES)
    data.prepare_data()
    assert (data.size("train"), note.read_text()) == (4, "mine")


def test_maps_hold_out_their_validation_part(server):
    pages, _ = server
    pages[PIX2PIX.format("maps")] = tar(pairs("maps", {"train": 4, "val": 3}))
    data = Pix2PixArchive(name="maps", **SIZES)
    data.prepare_data()
    assert (data.name, data.size("train"), data.size("test")) == ("maps", 4, 3)


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("horse2zebra", "horse2zebra"),
        ("monet2photo", "monet2photo"),
        ("summer2winter", "summer2winter_yosemite"),
    ],
)
def test_domains_are_downloaded(server, name, stem):
    pages, _ = server
    image = encoded(atlas(1), "JPEG")
    sizes = {"trainA": 4, "trainB": 5, "testA": 2, "testB": 3}
    pages[CYCLEGAN.format(stem)] = zipped(
        {f"{stem}/{part}/{i}.jpg": image for part, n in sizes.items() for i in range(n)}
    )
    data = CycleGANArchive(name=name, **SIZES)
    data.prepare_data()
    assert (data.input_size(), data.input_size("test")) == (4, 2)
    assert (data.size(), data.size("test")) == (5, 3)


def test_a_root_can_be_the_archive_its_folder_or_the_data_set(server, tmp_path):
    _, asked = server
    archive = tmp_path / "given" / "maps.tar.gz"
    archive.parent.mkdir()
    archive.write_bytes(tar(pairs("maps", {"train": 4, "val": 3})))
    unpack(archive, tmp_path / "unpacked")
    roots = [archive, archive.parent, tmp_path / "unpacked", tmp_path / "unpacked" / "maps"]
    prints = set()
    for root in roots:
        data = Pix2PixArchive(str(root), "maps", **SIZES)
        data.prepare_data()
        prints.add(data.fingerprint())
    assert len(prints) == 1
    assert asked == []


def test_a_failed_download_says_what_to_do_and_leaves_nothing(server, tmp_path):
    with pytest.raises(DataError) as caught:
        CycleGANArchive(name="summer2winter").prepare_data()
    message = str(caught.value)
    for part in (
        "data=summer2winter: could not be downloaded",
        "Name or service not known",
        "summer2winter_yosemite.zip",
        str(tmp_path / "cache" / "summer2winter"),
        "data.root=PATH",
        CYCLEGAN.format("summer2winter_yosemite"),
    ):
        assert part in message
    assert list((tmp_path / "cache").iterdir()) == []


def test_an_archive_without_images_is_no_data_set(server, tmp_path):
    pages, _ = server
    pages[PIX2PIX.format("maps")] = tar({"maps/README": b"moved"})
    with pytest.raises(DataError, match="downloaded data set is incomplete"):
        Pix2PixArchive(name="maps").prepare_data()
    pages[PIX2PIX.format("maps")] = b"<html>moved</html>"
    with pytest.raises(DataError, match=r"maps.tar.gz cannot be unpacked"):
        Pix2PixArchive(name="maps").prepare_data()
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_root_without_the_data_set_is_never_downloaded_into(server, tmp_path):
    _, asked = server
    with pytest.raises(DataError, match=r"is empty\. Put maps/ or maps\.tar\.gz into"):
        Pix2PixArchive(str(tmp_path), "maps").prepare_data()
    assert asked == []


def test_unknown_names_are_refused():
    with pytest.raises(ConfigError, match="one of facades, maps, edges2shoes, got 'map'"):
        Pix2PixArchive(name="map")
    with pytest.raises(ConfigError, match="one of horse2zebra, monet2photo, summer2winter, got"):
        CycleGANArchive(name="apple2orange")


# ---------------------------------------------------------------------- fetching


def test_progress_is_logged_ten_times(monkeypatch, tmp_path, caplog):
    monkeypatch.setattr(downloading, "_CHUNK", 1000)
    content = bytes(range(256)) * 100
    monkeypatch.setattr(
        urllib.request, "urlopen", lambda url, timeout: Answer(content, len(content))
    )
    with caplog.at_level(logging.INFO):
        fetch("http://x/y.zip", tmp_path / "y.zip")
    assert (tmp_path / "y.zip").read_bytes() == content
    lines = [record.getMessage() for record in caplog.records]
    assert lines[0] == "downloading http://x/y.zip, 25,600 bytes"
    assert len(lines) == 11
    assert lines[-1] == "y.zip: 25,600 bytes of 25,600 bytes"


def test_a_download_that_ends_early_is_an_error(monkeypatch, tmp_path):
    monkeypatch.setattr(urllib.request, "urlopen", lambda url, timeout: Answer(b"half", 8))
    with pytest.raises(DataError, match="ended after 4 of 8 bytes"):
        fetch("http://x/y.zip", tmp_path / "y.zip")


def test_a_server_that_announces_no_size_is_served_too(monkeypatch, tmp_path):
    monkeypatch.setattr(urllib.request, "urlopen", lambda url, timeout: Answer(b"whole"))
    fetch("http://x/y.zip", tmp_path / "y.zip")
    assert (tmp_path / "y.zip").read_bytes() == b"whole"


# ---------------------------------------------------------------------- unpacking


@pytest.mark.parametrize("pack", [tar, zipped])
@pytest.mark.parametrize("name", ["../out.png", "a/../../out.png", "/tmp/out.png", "a\\..\\b.png"])
def test_members_that_would_lie_outside_are_refused(tmp_path, pack, name):
    archive = tmp_path / "archive"
    archive.write_bytes(pack({name: b"x"}))
    (tmp_path / "in").mkdir()
    with pytest.raises(DataError, match="would be outside of the folder"):
        unpack(archive, tmp_path / "in")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["archive", "in"]
    assert list((tmp_path / "in").iterdir()) == []


def test_links_are_not_followed(tmp_path):
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"secret")
    with tarfile.open(tmp_path / "links.tar", "w") as archive:
        for name, kind in (("soft.png", tarfile.SYMTYPE), ("hard.png", tarfile.LNKTYPE)):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, str(secret)
            archive.addfile(member)
    unpack(tmp_path / "links.tar", tmp_path / "in")
    assert not (tmp_path / "in").exists()


def test_images_alone_are_unpacked(tmp_path):
    archive = tmp_path / "a.zip"
    archive.write_bytes(zipped({"a/b.png": b"b", "a/run.sh": b"c", "__MACOSX/._b.png": b"d"}))
    unpack(archive, tmp_path / "in")
    found = [path for path in (tmp_path / "in").rglob("*") if path.is_file()]
    assert found == [tmp_path / "in" / "a" / "b.png"]


# ---------------------------------------------------------------------- Cityscapes


@pytest.fixture
def streets(tmp_path):
    """The layout of the two official archives."""
    for part, count in {"train": 4, "val": 2, "test": 3}.items():
        for i in range(count):
            scene = f"{part}/aachen/aachen_00000{i}_000019"
            save(tmp_path / "leftImg8bit" / f"{scene}_leftImg8bit.png", flat((10, 0, 0)))
            save(tmp_path / "gtFine" / f"{scene}_gtFine_color.png", flat((0, 0, 20)))
            save(tmp_path / "gtFine" / f"{scene}_gtFine_labelIds.png", flat(7, mode="L"))
    return tmp_path


def test_cityscapes_reads_its_own_layout(streets):
    data = Cityscapes(str(streets), direction="BtoA", **SIZES)
    data.prepare_data()
    assert (data.size("train"), data.size("test")) == (4, 2)
    assert data.inputs(1)[0, :, 0, 0].tolist() == [0, 0, 20]
    assert data.reals(1, "test")[0][0, :, 0, 0].tolist() == [10, 0, 0]


def test_cityscapes_names_photographs_without_labels(streets):
    next((streets / "gtFine").rglob("train/*/*color.png")).unlink()
    with pytest.raises(DataError, match="1 of 9 photographs have no labels"):
        Cityscapes(str(streets), **SIZES).setup()


def test_cityscapes_says_how_to_get_it(server):
    _, asked = server
    with pytest.raises(DataError) as caught:
        Cityscapes().prepare_data()
    message = str(caught.value)
    for part in (
        "license forbids",
        "cityscapes-dataset.com",
        "gtFine_trainvaltest.zip",
        "data.root=",
    ):
        assert part in message
    assert asked == []
