import zipfile

import pytest
import torch

from ganforge.data.translation.own import UnpairedImages
from ganforge.errors import ConfigError, DataError
from tests.data.atlas import atlas, marks
from tests.data.drawings import flat, save
from tests.data.stand_in import attach, check_position_alone_decides, first, joined

SIZES = {"image_size": 16, "load_size": 20}


def unpaired(path=None, **changes):
    given = {**SIZES, "batch_size": 2, "holdout": 0, **changes}
    return UnpairedImages(str(path) if path else None, **given)


def domain(folder, count, mark=0):
    for i in range(count):
        save(folder / f"{i}.png", atlas(mark + i))
    return folder


@pytest.fixture
def root(tmp_path):
    """Five As and eight Bs; two and three are held out."""
    sizes = {"trainA": (5, 0), "trainB": (8, 100), "testA": (2, 50), "testB": (3, 150)}
    for name, (count, mark) in sizes.items():
        domain(tmp_path / "set" / name, count, mark)
    return tmp_path / "set"


# ---------------------------------------------------------------------- orders and draws


def test_each_domain_has_epochs_of_its_own(root):
    data = unpaired(root, batch_size=5)
    attach(data)
    batches = first(data, 16)
    left, right = marks(joined(batches, "input")), marks(joined(batches))
    for shown, expected in ((left, range(5)), (right, range(100, 108))):
        count = len(expected)
        epochs = [shown[i : i + count] for i in range(0, 80, count)]
        assert all(sorted(epoch) == list(expected) for epoch in epochs)
        assert len({tuple(epoch) for epoch in epochs}) > len(epochs) / 2


def test_the_orders_and_draws_of_the_domains_are_independent(tmp_path):
    domain(tmp_path / "trainA", 8)
    domain(tmp_path / "trainB", 8)
    data = unpaired(tmp_path, batch_size=8)
    attach(data)
    batches = first(data, 50)
    left, right = joined(batches, "input"), joined(batches)
    met = sum(a == b for a, b in zip(marks(left), marks(right), strict=True))
    assert 20 < met < 80  # of 400: one in eight by chance
    rows = (left[:, 1, 0, 0] == right[:, 1, 0, 0]).float().mean()
    assert 0.1 < rows < 0.3  # one in five origins
    flips = [(x[:, 0, 0, 0] > x[:, 0, 0, 1]) for x in (left, right)]
    assert 0.4 < (flips[0] == flips[1]).float().mean() < 0.6
    assert all(0.4 < flip.float().mean() < 0.6 for flip in flips)


def test_a_position_alone_decides(root):
    check_position_alone_decides(lambda **changes: unpaired(root, **changes))


# ---------------------------------------------------------------------- layouts


def test_both_splits_of_both_domains(root):
    data = unpaired(root)
    assert data.gives == {"inputs"}
    assert [data.input_size(s) for s in ("train", "test")] == [5, 2]
    assert [data.size(s) for s in ("train", "test")] == [8, 3]
    assert sorted(marks(data.inputs(9))) == list(range(5))
    assert sorted(marks(data.reals(9)[0])) == list(range(100, 108))
    assert sorted(marks(data.inputs(9, "test"))) == [50, 51]
    assert data.inputs(9, "test").shape == (2, 3, 16, 16)
    assert data.domain("input").size("train") == 5
    assert data.domain("input").fingerprint("test") != data.domain("target").fingerprint("test")


def test_the_other_direction_swaps_input_and_target(root):
    there, back = unpaired(root, input_channels=1), unpaired(root, direction="BtoA", channels=1)
    assert torch.equal(there.inputs(5), back.reals(5)[0])
    assert torch.equal(there.reals(8)[0], back.inputs(8))
    attach(there)
    assert first(there, 1)[0]["input"].shape == (2, 1, 16, 16)


def test_two_paths_with_their_own_splits(tmp_path):
    left = domain(tmp_path / "horses", 10)
    right = tmp_path / "zebras"
    domain(right / "train", 6, 100)
    domain(right / "val", 2, 150)
    with zipfile.ZipFile(tmp_path / "zebras.zip", "w") as archive:
        for path in right.rglob("*.png"):
            archive.write(path, path.relative_to(tmp_path))
    data = unpaired(path_a=str(left), path_b=str(tmp_path / "zebras.zip"), holdout=0.2)
    assert (data.input_size(), data.input_size("test")) == (8, 2)
    assert (data.size(), data.size("test")) == (6, 2)
    assert sorted(marks(data.inputs(8)) + marks(data.inputs(2, "test"))) == list(range(10))
    assert sorted(marks(data.reals(2, "test")[0])) == [150, 151]


def test_a_share_is_held_out_of_the_domain_without_test_folder(root):
    for path in (root / "testB").iterdir():
        path.unlink()
    data = unpaired(root, holdout=0.25)
    assert (data.size(), data.size("test"), data.input_size("test")) == (6, 2, 2)


def test_images_in_test_folders_are_not_used_for_training(tmp_path):
    for letter, mark in (("A", 0), ("B", 100)):
        domain(tmp_path / letter, 4, mark)
        domain(tmp_path / f"test{letter}", 2, mark + 50)
        domain(tmp_path / f"val{letter}", 2, mark + 60)
    data = unpaired(tmp_path)
    assert sorted(marks(data.reals(9)[0])) == [100, 101, 102, 103]
    assert sorted(marks(data.inputs(9, "test"))) == [50, 51]


def test_test_folders_alone_are_refused(tmp_path):
    for letter in "AB":
        domain(tmp_path / f"test{letter}", 4)
    with pytest.raises(DataError, match="domain A: images only in test/: rename"):
        unpaired(tmp_path).setup()


def test_images_next_to_the_split_folders_are_skipped(tmp_path):
    for letter, mark in (("A", 0), ("B", 100)):
        domain(tmp_path / "set" / f"train{letter}", 4, mark)
        domain(tmp_path / "set" / letter, 2, mark + 50)
    domain(tmp_path / "samples", 3, 200)
    data = unpaired(tmp_path)
    assert sorted(marks(data.reals(9)[0])) == [100, 101, 102, 103]
    assert data.skipped == ["samples/ (3 images)", "set/A/ (2 images)", "set/B/ (2 images)"]
    assert unpaired(tmp_path / "set", layout=1).input_size() == 6


def test_max_images_counts_each_domain(root):
    data = unpaired(root, max_images=4)
    assert (data.input_size(), data.size()) == (4, 4)


def test_channels_of_the_domains_are_independent(tmp_path):
    for i in range(3):
        save(tmp_path / "A" / f"{i}.png", flat(90, mode="L"))
        save(tmp_path / "B" / f"{i}.png", flat((10, 20, 30)))
    data = unpaired(tmp_path, input_channels=1)
    assert data.inputs(1)[0, :, 0, 0].tolist() == [90]
    assert data.reals(1)[0][0, :, 0, 0].tolist() == [10, 20, 30]


# ---------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(("letter", "other"), ["AB", "BA"])
def test_an_empty_domain_is_named(root, letter, other):
    for path in root.glob(f"*{letter}/*"):
        path.unlink()
    with pytest.raises(DataError, match=f"domain {letter}: no images in train{letter}/"):
        unpaired(root).setup()


def test_a_domain_of_one_image_is_refused(tmp_path):
    domain(tmp_path / "A", 1)
    domain(tmp_path / "B", 4)
    with pytest.raises(DataError, match="has 1 training image"):
        unpaired(tmp_path, batch_size=1).setup()


@pytest.mark.parametrize("paths", [{}, {"path_a": "x"}, {"path": "x", "path_b": "y"}])
def test_paths_come_alone_or_in_pairs(paths):
    with pytest.raises(ConfigError, match=r"data.path=PATH of trainA/ .* data.path_b=PATH"):
        unpaired(**paths)


def test_a_missing_path_is_named(tmp_path):
    with pytest.raises(DataError, match="nowhere does not exist"):
        unpaired(tmp_path / "nowhere").prepare_data()


def test_image_size_must_fit_into_load_size():
    with pytest.raises(ConfigError, match=r"load_size must be .* image_size=32"):
        unpaired("x", image_size=32)


def test_unreadable_images_are_listed_and_skipped(root, caplog):
    (root / "trainA" / "2.png").write_bytes(b"no image")
    data = unpaired(root, max_unreadable=1)
    assert (data.input_size(), data.size()) == (4, 8)
    own = [record for record in caplog.records if record.name.startswith("ganforge")]
    assert own[0].args[0] == "trainA/2.png"
    with pytest.raises(DataError, match="more than max_unreadable=0"):
        unpaired(root, max_unreadable=0).setup()
