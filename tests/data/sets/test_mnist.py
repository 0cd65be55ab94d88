import gzip
import struct
import threading
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from torchvision import datasets

from ganforge.data.files import download as origin
from ganforge.data.sets.fashion_mnist import FashionMNIST
from ganforge.data.sets.mnist import MNIST
from ganforge.errors import DataError

COUNTS = {"train": 20, "t10k": 6}
CLASSES = [(MNIST, datasets.MNIST), (FashionMNIST, datasets.FashionMNIST)]


def idx(array):
    header = bytes([0, 0, 8, array.dim()]) + struct.pack(f">{array.dim()}I", *array.shape)
    return header + array.numpy().tobytes()


def write(root, folder, zipped):
    raw = root / folder / "raw"
    raw.mkdir(parents=True)
    generator = torch.Generator().manual_seed(0)
    written = {}
    for prefix, count in COUNTS.items():
        images = torch.randint(0, 256, (count, 28, 28), dtype=torch.uint8, generator=generator)
        labels = torch.randint(0, 10, (count,), dtype=torch.uint8, generator=generator)
        for stem, array in (("images-idx3", images), ("labels-idx1", labels)):
            name = f"{prefix}-{stem}-ubyte"
            if zipped:
                (raw / f"{name}.gz").write_bytes(gzip.compress(idx(array)))
            else:
                (raw / name).write_bytes(idx(array))
        written[prefix] = images, labels
    return written


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize(("cls", "original"), CLASSES)
def test_reads_the_layout_of_torchvision(tmp_path, cls, original, zipped):
    written = write(tmp_path, original.__name__, zipped)
    data = cls(root=str(tmp_path), image_size=28, batch_size=4)
    data.prepare_data()
    data.setup()
    for split, prefix in (("train", "train"), ("test", "t10k")):
        source = data._sources[split]
        assert torch.equal(source.images[:, 0], written[prefix][0])
        assert torch.equal(source.labels, written[prefix][1].long())
    if not zipped:
        assert torch.equal(original(str(tmp_path)).data, data._sources["train"].images[:, 0])


@pytest.mark.parametrize(("cls", "original"), CLASSES)
def test_names_and_addresses_are_those_of_torchvision(cls, original):
    assert (cls.dataset, cls.home) == (original.__name__, original.mirrors[0])


def test_sizes_and_channels(tmp_path):
    images = write(tmp_path, "MNIST", True)["train"][0]
    padded = MNIST(root=str(tmp_path), batch_size=4)
    padded.setup()
    assert torch.equal(padded._sources["train"].images[:, 0, 2:30, 2:30], images)
    for size, channels in ((64, 1), (16, 3)):
        data = MNIST(root=str(tmp_path), image_size=size, channels=channels, batch_size=4)
        assert data.reals(5)[0].shape == (5, channels, size, size)


@pytest.mark.parametrize("fault", ["short", "magic", "gzip"])
def test_damaged_files_are_named(tmp_path, fault):
    write(tmp_path, "MNIST", True)
    path = tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte.gz"
    whole = gzip.decompress(path.read_bytes())
    damaged = {
        "short": gzip.compress(whole[:-1]),
        "magic": gzip.compress(b"x" + whole[1:]),
        "gzip": path.read_bytes()[:-20],
    }
    path.write_bytes(damaged[fault])
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz (is damaged|cannot be read)"):
        MNIST(root=str(tmp_path), batch_size=4).setup()


def test_a_root_without_the_data_is_named_with_what_it_holds(tmp_path):
    (tmp_path / "holiday.txt").touch()
    message = r"data=mnist: .* contains holiday\.txt. Put MNIST/raw/train-images.*data\.root="
    with pytest.raises(DataError, match=message):
        MNIST(root=str(tmp_path)).prepare_data()
    with pytest.raises(DataError, match="does not exist"):
        MNIST(root=str(tmp_path / "no")).setup()


def unreachable(self):
    raise URLError("no route to host")


def test_a_failed_download_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("GANFORGE_DATA", str(tmp_path))
    monkeypatch.setattr(datasets.MNIST, "download", unreachable)
    with pytest.raises(DataError) as caught:
        MNIST().prepare_data()
    message = str(caught.value)
    for part in (
        "data=mnist",
        "no route to host",
        "train-labels",
        "https://",
        str(tmp_path),
        "data.root=",
    ):
        assert part in message
    assert str(tmp_path) in message
    assert list(tmp_path.iterdir()) == []


def test_half_a_download_does_not_break_the_next(tmp_path, monkeypatch):
    monkeypatch.setenv("GANFORGE_DATA", str(tmp_path))

    def interrupted(self):
        write(Path(self.root), "MNIST", True)
        raise RuntimeError("File not found or corrupted.")

    def complete(self):
        write(Path(self.root), "MNIST", False)

    monkeypatch.setattr(datasets.MNIST, "download", interrupted)
    with pytest.raises(DataError, match="corrupted"):
        MNIST().prepare_data()
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(datasets.MNIST, "download", complete)
    for _ in range(2):  # the second finds it there: writing again would fail
        MNIST().prepare_data()
    assert MNIST(batch_size=4).size() == 20
    assert [path.name for path in tmp_path.iterdir()] == ["mnist"]


@pytest.mark.parametrize("folder", ["", "MNIST", "MNIST/raw"])
@pytest.mark.parametrize("form", ["dots", "folders", "gz folders"])
def test_reads_the_layouts_of_kaggle(tmp_path, folder, form):
    written = write(tmp_path / "original", "MNIST", "gz" in form)["train"][0]
    place = tmp_path / "root" / folder
    place.mkdir(parents=True)
    for path in (tmp_path / "original" / "MNIST" / "raw").iterdir():
        name = path.name.replace("-idx", ".idx") if form == "dots" else path.name
        target = place / name if form == "dots" else place / name / path.name.removesuffix(".gz")
        target.parent.mkdir(exist_ok=True)
        data = path.read_bytes()
        target.write_bytes(gzip.decompress(data) if "gz" in form else data)
    data = MNIST(root=str(tmp_path / "root"), image_size=28, batch_size=4)
    data.prepare_data()
    data.setup()
    assert torch.equal(data._sources["train"].images[:, 0], written)


def test_a_silent_server_times_out(tmp_path, monkeypatch):
    monkeypatch.setenv("GANFORGE_DATA", str(tmp_path))
    monkeypatch.setattr(origin, "_SILENCE", 0.04)
    monkeypatch.setattr(origin, "_INTERVAL", 0.01)
    waiting = threading.Event()
    monkeypatch.setattr(datasets.MNIST, "download", lambda self: waiting.wait(60))
    with pytest.raises(DataError, match=r"could not be downloaded \(the server sent nothing"):
        MNIST().prepare_data()
    waiting.set()
    assert list(tmp_path.iterdir()) == []
