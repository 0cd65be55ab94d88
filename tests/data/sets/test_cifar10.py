import hashlib
import pickle
import tarfile

import pytest
import torch
from torchvision import datasets

from ganforge.data.sets import cifar10
from ganforge.data.sets.cifar10 import CIFAR10
from ganforge.errors import DataError

FOLDER = "cifar-10-batches-py"


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Six files of ten images in the real layout, whose checksums count as the right ones."""
    (tmp_path / FOLDER).mkdir()
    generator = torch.Generator().manual_seed(0)
    sums = {}
    for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
        data = torch.randint(0, 256, (10, 3072), dtype=torch.uint8, generator=generator)
        content = pickle.dumps({"data": data.numpy(), "labels": list(range(10))})
        (tmp_path / FOLDER / name).write_bytes(content)
        sums[name] = hashlib.md5(content).hexdigest()
    monkeypatch.setattr(cifar10, "_TEST", {"test_batch": sums.pop("test_batch")})
    monkeypatch.setattr(cifar10, "_TRAIN", sums)
    return tmp_path


def pack(root):
    with tarfile.open(root / "cifar-10-python.tar.gz", "w:gz") as archive:
        archive.add(root / FOLDER, FOLDER)
    for path in (root / FOLDER).iterdir():
        path.unlink()
    (root / FOLDER).rmdir()


def test_files_and_checksums_are_those_of_torchvision():
    assert [*cifar10._TRAIN.items()] == [tuple(entry) for entry in datasets.CIFAR10.train_list]
    assert [*cifar10._TEST.items()] == [tuple(entry) for entry in datasets.CIFAR10.test_list]
    assert datasets.CIFAR10.url == cifar10._URL


def test_the_root_can_be_the_folder_of_the_batches(root):
    data = CIFAR10(root=str(root / FOLDER), batch_size=10)
    data.prepare_data()
    assert data.size() == 50


@pytest.mark.parametrize("packed", [False, True])
def test_reads_the_layout_of_torchvision(root, packed):
    content = pickle.loads((root / FOLDER / "data_batch_2").read_bytes())
    if packed:
        pack(root)
    data = CIFAR10(root=str(root), batch_size=10)
    data.prepare_data()
    assert (data.size("train"), data.size("test")) == (50, 10)
    second = data._sources["train"].images[10:20]
    assert torch.equal(second, torch.from_numpy(content["data"]).view(10, 3, 32, 32))
    assert data._sources["test"].labels.tolist() == list(range(10))


def test_other_sizes_and_grey(root):
    data = CIFAR10(root=str(root), image_size=16, channels=1, batch_size=10)
    assert data.reals(3)[0].shape == (3, 1, 16, 16)


def test_a_file_with_another_checksum_is_never_unpickled(root):
    (root / FOLDER / "data_batch_3").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    with pytest.raises(DataError, match=r"data_batch_3 .* wrong checksum"):
        CIFAR10(root=str(root), batch_size=10).setup()


def test_half_an_archive_is_named(root):
    pack(root)
    path = root / "cifar-10-python.tar.gz"
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(DataError, match="cannot be read"):
        CIFAR10(root=str(root), batch_size=10).setup()


def test_a_root_of_image_files_points_to_the_folder_option(tmp_path):
    (tmp_path / "cifar10_jpg.tar.xz").touch()
    with pytest.raises(DataError, match=r"contains cifar10_jpg.tar.xz. .* data=folder data.path="):
        CIFAR10(root=str(tmp_path)).prepare_data()
