import zipfile

import pytest
from torchvision import datasets

from ganforge.data.sets.celeba import CelebA
from ganforge.errors import DataError
from tests.data.drawings import BLUE, RED, flat, save


@pytest.fixture
def root(tmp_path):
    """Ten faces in the real layout: blue in the central square, red above and below it."""
    rows = []
    for i in range(10):
        face = flat(RED, (178, 218))
        face.paste(BLUE, (0, 20, 178, 198))
        save(tmp_path / "celeba" / "img_align_celeba" / f"{i + 1:06}.jpg", face, quality=95)
        rows.append(f"{i + 1:06}.jpg {0 if i < 6 else i // 8 + 1}")
    (tmp_path / "celeba" / "list_eval_partition.txt").write_text("\n".join(rows) + "\n")
    return tmp_path


def celeba(root, **changes):
    return CelebA(root=str(root), **{"batch_size": 2, **changes})


def test_the_central_square_of_both_splits(root):
    data = celeba(root)
    data.prepare_data()
    assert (data.size("train"), data.size("test")) == (8, 2)
    images, labels = data.reals(8)
    assert labels is None
    assert images.shape == (8, 3, 64, 64)
    assert images[:, 2, 2:-2].min() > 200
    assert images[:, 0, 2:-2].max() < 60


def test_the_zip_does_as_well_and_without_partition_all_are_trained_on(root, tmp_path):
    images = root / "celeba" / "img_align_celeba"
    with zipfile.ZipFile(tmp_path / "img_align_celeba.zip", "w") as archive:
        for path in images.iterdir():
            archive.write(path, f"img_align_celeba/{path.name}")
            path.unlink()
    images.rmdir()
    data = celeba(tmp_path, image_size=32)
    assert (data.size("train"), data.size("test")) == (10, 0)


def test_a_failed_download_says_what_to_do(tmp_path, monkeypatch):
    def quota(self):
        raise RuntimeError("The daily quota of the file img_align_celeba.zip is exceeded")

    monkeypatch.setenv("GANFORGE_DATA", str(tmp_path))
    monkeypatch.setattr(datasets.CelebA, "download", quota)
    with pytest.raises(DataError) as caught:
        CelebA().prepare_data()
    message = str(caught.value)
    for part in ("data=celeba", "daily quota", "img_align_celeba.zip", str(tmp_path), "data.root="):
        assert part in message
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_partition_is_named(root):
    (root / "celeba" / "list_eval_partition.txt").write_text("000001.jpg\n")
    with pytest.raises(DataError, match=r"list_eval_partition\.txt is damaged"):
        celeba(root).setup()


def test_kaggles_layout_and_csv(root):
    folder = root / "celeba" / "img_align_celeba"
    folder.rename(root / "inner")
    folder = root / "img_align_celeba"
    folder.mkdir()
    (root / "inner").rename(folder / "img_align_celeba")
    text = (root / "celeba" / "list_eval_partition.txt").read_text()
    rows = "image_id,partition\n" + text.replace(" ", ",")
    (root / "list_eval_partition.csv").write_text(rows)
    data = celeba(root)
    assert (data.size("train"), data.size("test")) == (8, 2)
    (root / "list_eval_partition.csv").write_text("image_id,partition\nother.jpg,0\n")
    with pytest.raises(DataError, match="none of its 10 images is in"):
        celeba(root).setup()


def test_without_a_partition_file_a_warning_says_that_nothing_is_held_out(root, caplog):
    (root / "celeba" / "list_eval_partition.txt").unlink()
    assert celeba(root).size("test") == 0
    assert "training on all images" in caplog.text
