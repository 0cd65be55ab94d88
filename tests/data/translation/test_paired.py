import io
import tarfile
import zipfile

import pytest
import torch
from PIL import Image

from ganforge.data.stream import workers_for_files
from ganforge.data.translation.own import PairedImages
from ganforge.errors import ConfigError, DataError
from tests.data.atlas import atlas, marks, side_by_side
from tests.data.drawings import BLUE, GREEN, RED, flat, halves, save
from tests.data.stand_in import attach, check_position_alone_decides, first, joined

SIZES = {"image_size": 16, "load_size": 20}


def paired(path, **changes):
    return PairedImages(str(path), **{**SIZES, "batch_size": 2, "holdout": 0, **changes})


def joint(root, count=6):
    """Pairs side by side, B's marks 100 above A's."""
    for i in range(count):
        save(root / f"{i}.png", side_by_side(atlas(i), atlas(100 + i)))
    return root


def apart(root, count=6, layout="{domain}/{i}.png"):
    for i in range(count):
        save(root / layout.format(domain="A", i=i), atlas(i))
        save(root / layout.format(domain="B", i=i), atlas(100 + i))
    return root


# ---------------------------------------------------------------------- exact crops and orders


@pytest.mark.parametrize("make", [joint, apart])
def test_both_halves_have_the_same_window_and_flip(tmp_path, make):
    data = paired(make(tmp_path), batch_size=6)
    attach(data)
    batches = first(data, 20)
    left, right = joined(batches, "input"), joined(batches)
    assert left.shape == right.shape == (120, 3, 16, 16)
    assert torch.equal(left[:, :2], right[:, :2])
    assert torch.equal(left[:, 2] + 100, right[:, 2])
    steps = left[:, 0, 0].diff().unique(dim=0)
    assert sorted(steps[:, 0].tolist()) == [4, 252]  # columns to the right and, flipped, the left
    origins = torch.stack([left[:, 0].amin((1, 2)), left[:, 1, 0, 0]], 1).unique(dim=0)
    assert sorted({*origins.flatten().tolist()}) == [0, 4, 8, 12, 16]
    assert len(origins) == 25  # rows and columns are drawn independently of each other
    mirrored = (left[:, 0, 0, 0] > left[:, 0, 0, 1]).sum()
    assert 40 < mirrored < 80


def test_an_epoch_shows_each_pair_once(tmp_path):
    data = paired(joint(tmp_path))
    attach(data)
    shown = marks(joined(first(data, 6), "input"))
    assert sorted(shown[:6]) == sorted(shown[6:]) == list(range(6))
    assert shown[:6] != shown[6:]


def test_a_position_alone_decides(tmp_path):
    root = joint(tmp_path)
    check_position_alone_decides(lambda **changes: paired(root, **changes))


def test_seeds_decide_the_order_and_reals_stay(tmp_path):
    one, two = paired(joint(tmp_path), seed=1), paired(tmp_path, seed=2)
    attach(one)
    attach(two)
    assert not torch.equal(joined(first(one, 3)), joined(first(two, 3)))
    assert torch.equal(one.inputs(6), two.inputs(6))


@pytest.mark.parametrize("make", [joint, apart])
def test_images_next_to_the_training_folder_are_skipped(tmp_path, make):
    for split, count in (("train", 6), ("val", 2)):
        make(tmp_path / "set" / split, count)
    save(tmp_path / "cover.png", flat(RED))
    save(tmp_path / "set" / "more" / "0.png", side_by_side(atlas(50), atlas(150)))
    data = paired(tmp_path)
    assert (data.size(), data.size("test")) == (6, 2)
    assert data.skipped == ["cover.png", "set/more/ (1 image)"]


# ---------------------------------------------------------------------- fixed reals


def test_reals_are_pairs_and_the_centre_of_training_images(tmp_path):
    data = paired(joint(tmp_path / "train"), direction="AtoB", max_images=5)
    joint(tmp_path / "test", 4)
    left, (right, labels) = data.inputs(5), data.reals(5)
    assert labels is None
    assert [mark + 100 for mark in marks(left)] == marks(right)
    assert left[:, 0, 0].unique(dim=0).tolist() == [[4 * x for x in range(2, 18)]]


def test_the_test_split_is_resized_as_a_whole(tmp_path):
    joint(tmp_path / "train")
    joint(tmp_path / "val", 3)
    joint(tmp_path / "test", 4)
    data = paired(tmp_path)
    assert (data.size("train"), data.size("test"), data.input_size("test")) == (6, 4, 4)
    left, right = data.inputs(4, "test"), data.reals(4, "test")[0]
    assert left.shape == right.shape == (4, 3, 16, 16)
    assert [mark + 100 for mark in marks(left)] == marks(right)
    assert torch.equal(left[:, :2], right[:, :2])
    assert left[:, 0].min() < 3
    assert left[:, 0].max() > 73
    assert torch.equal(data.inputs(2, "test", 1), left[1:3])


def test_domains_are_data_sets_of_their_own(tmp_path):
    data = paired(joint(tmp_path), input_channels=1)
    left, right = data.domain("input"), data.domain("target")
    assert (left.channels, right.channels, left.image_size, left.num_classes) == (1, 3, 16, 0)
    assert (left.name, left.size("train"), left.size("test")) == ("paired", 6, 0)
    assert torch.equal(left.reals(6)[0], data.inputs(6))
    assert torch.equal(right.reals(3, start=2)[0], data.reals(3, start=2)[0])
    assert left.real_labels("train") is None
    assert right.fingerprint() == data.fingerprint() != left.fingerprint()
    with pytest.raises(DataError, match="data=paired has no test images"):
        left.reals(1, "test")
    with pytest.raises(ConfigError, match="role must be input or target, got 'A'"):
        data.domain("A")


def test_the_other_direction_swaps_input_and_target(tmp_path):
    there = paired(joint(tmp_path), input_channels=1)
    back = paired(tmp_path, direction="BtoA", channels=1)
    assert torch.equal(back.inputs(6), there.reals(6)[0])
    assert torch.equal(back.reals(6)[0], there.inputs(6))
    attach(there)
    attach(back)
    (forth,), (other,) = first(there, 1), first(back, 1)
    assert forth["input"].shape == other["image"].shape == (2, 1, 16, 16)
    assert torch.equal(forth["input"], other["image"])
    assert torch.equal(forth["image"], other["input"])


def test_grey_inputs_have_coloured_targets(tmp_path):
    for i in range(4):
        save(tmp_path / "A" / f"{i}.png", flat(60 * i, mode="L"))
        save(tmp_path / "B" / f"{i}.jpg", flat(RED), quality=95)
    data = paired(tmp_path, input_channels=1)
    assert data.inputs(4).flatten(1).unique(dim=1).squeeze(1).sort().values.tolist() == [
        60 * i for i in range(4)
    ]
    assert data.reals(1)[0].float().mean((2, 3)).round().squeeze(0).tolist() == [254, 0, 0]


# ---------------------------------------------------------------------- layouts


LAYOUTS = [
    "A/{split}/{i}.png",
    "{split}/A/{i}.png",
    "deep/er/{split}A/x/{i}.png",
    "{split}_A/{i}.png",
]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_folders_of_both_domains_in_any_order(tmp_path, layout):
    for split, count in {"train": 5, "test": 3, "val": 2}.items():
        apart(tmp_path, count, layout.replace("A", "{domain}").replace("{split}", split))
    data = paired(tmp_path)
    assert (data.size("train"), data.size("test")) == (5, 3)
    assert [m + 100 for m in marks(data.inputs(3, "test"))] == marks(data.reals(3, "test")[0])


def test_a_share_is_held_out_where_there_is_no_test_folder(tmp_path):
    data = paired(joint(tmp_path, 10), holdout=0.2)
    assert (data.size("train"), data.size("test")) == (8, 2)
    seen = marks(data.inputs(8)) + marks(data.inputs(2, "test"))
    assert sorted(seen) == list(range(10))


@pytest.mark.parametrize("make", [joint, apart])
def test_archives_serve_what_the_folder_serves(tmp_path, make):
    root = make(tmp_path / "pairs")
    with zipfile.ZipFile(tmp_path / "pairs.zip", "w") as archive:
        for path in root.rglob("*.png"):
            archive.write(path, path.relative_to(tmp_path))
    with tarfile.open(tmp_path / "pairs.tgz", "w:gz") as archive:
        archive.add(root, "pairs")
    expected = paired(root)
    for name in ("pairs.zip", "pairs.tgz"):
        packed = paired(tmp_path / name)
        assert torch.equal(packed.inputs(6), expected.inputs(6))
        assert packed.fingerprint() == expected.fingerprint()


def test_images_are_stretched_and_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its side: to be turned clockwise
    for i in range(3):
        turned = halves(RED, GREEN, (40, 10)).rotate(90, expand=True)
        save(tmp_path / f"{i}.png", turned, exif=exif)
    data = paired(tmp_path, image_size=8, load_size=8)
    assert data.inputs(1)[0, :, 4, 4].tolist() == list(RED)
    assert data.reals(1)[0][0, :, 4, 4].tolist() == list(GREEN)


# ---------------------------------------------------------------------- what is refused


def test_images_without_a_partner_are_counted_and_named(tmp_path):
    apart(tmp_path, 14)
    for i in range(12):
        (tmp_path / "B" / f"{i}.png").unlink()
    save(tmp_path / "B" / "odd.png", atlas(0))
    with pytest.raises(DataError, match="13 of 17 images have no partner") as caught:
        paired(tmp_path).setup()
    lines = str(caught.value).splitlines()
    assert lines[1] == "  A/0.png"
    assert lines[-1] == "  and 3 more"
    assert len(lines) == 12


def test_partners_are_sought_within_their_split(tmp_path):
    apart(tmp_path, 3, "train/{domain}/{i}.png")
    save(tmp_path / "train" / "A" / "x.png", atlas(0))
    save(tmp_path / "test" / "B" / "x.png", atlas(0))
    with pytest.raises(DataError, match=r"2 of 8 [\s\S]*train/A/x.png\n  test/B/x.png"):
        paired(tmp_path).setup()


def test_a_name_that_two_images_share_is_refused(tmp_path):
    apart(tmp_path)
    save(tmp_path / "A" / "3.jpg", atlas(0))
    with pytest.raises(DataError, match=r"same name as another[\s\S]*A/3.jpg\n  A/3.png"):
        paired(tmp_path).setup()


def test_halves_of_different_sizes_are_counted_and_named(tmp_path):
    apart(tmp_path)
    save(tmp_path / "B" / "2.png", atlas(0, 24))
    with pytest.raises(DataError, match="1 of 6 pairs") as caught:
        paired(tmp_path, in_memory=False).setup()
    assert "A/2.png: 20x20, but B/2.png: 24x24" in str(caught.value)


def test_an_odd_width_has_no_halves(tmp_path):
    save(joint(tmp_path) / "odd.png", flat(RED, (41, 20)))
    with pytest.raises(DataError, match=r"1 of 7 pairs[\s\S]*odd.png: 41x20, an odd width"):
        paired(tmp_path).setup()


def test_an_empty_domain_is_named(tmp_path):
    for i in range(3):
        save(tmp_path / "set" / "A" / f"{i}.png", atlas(i))
    with pytest.raises(DataError, match="no images in trainB/"):
        paired(tmp_path).setup()


def test_images_outside_both_domains_are_named(tmp_path):
    save(apart(tmp_path) / "loose.png", atlas(0))
    with pytest.raises(
        DataError, match=r"1 of 13 images are not in a folder A or B[\s\S]*loose.png"
    ):
        paired(tmp_path).setup()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_size": 32}, "load_size must be an integer of at least image_size=32.*got 20"),
        ({"load_size": 20.5}, "load_size must be an integer"),
        ({"direction": "atob"}, "direction must be AtoB or BtoA, got 'atob'"),
        ({"input_channels": 5}, "input_channels must be 1, 2, 3 or 4, got 5"),
        ({"num_classes": 2}, "num_classes must be 0 with data=paired"),
        ({"holdout": 1.0}, "holdout must be at least 0 and below 1"),
        ({"path": None}, "data=paired needs data.path=PATH"),
    ],
)
def test_bad_arguments_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        PairedImages(**{"path": "x", **SIZES, **changes})


def test_a_missing_path_is_named(tmp_path):
    with pytest.raises(DataError, match="nowhere does not exist"):
        paired(tmp_path / "nowhere").prepare_data()


# ---------------------------------------------------------------------- unreadable files


def truncate(path):
    buffer = io.BytesIO()
    Image.effect_noise((20, 20), 50).convert("RGB").save(buffer, "PNG")
    path.write_bytes(buffer.getvalue()[:300])


@pytest.mark.parametrize("side", "AB")
def test_a_pair_with_one_unreadable_half_is_skipped_as_a_whole(tmp_path, caplog, side):
    truncate(apart(tmp_path) / side / "4.png")
    data = paired(tmp_path, max_unreadable=1)
    assert data.size() == 5
    left, right = marks(data.inputs(5)), marks(data.reals(5)[0])
    assert sorted(left) == [0, 1, 2, 3, 5]
    assert [mark + 100 for mark in left] == right
    assert caplog.records[0].args[0] == "A/4.png"
    assert ("B/4.png" in caplog.records[0].getMessage()) == (side == "B")


@pytest.mark.parametrize("workers", [0, 1])
def test_streaming_replaces_the_whole_pair(tmp_path, workers):
    truncate(apart(tmp_path) / "B" / "4.png")
    data = paired(tmp_path, in_memory=False, workers=workers, batch_size=6)
    attach(data)
    (batch,) = first(data, 1)
    assert sorted(marks(batch["input"])) == [0, 1, 2, 3, 5, 5]
    assert [mark + 100 for mark in marks(batch["input"])] == marks(batch["image"])


@pytest.mark.parametrize("stream", [False, True])
def test_too_many_unreadable_pairs_are_an_error_that_lists_them(tmp_path, stream):
    apart(tmp_path)
    for i in range(3):
        truncate(tmp_path / "B" / f"{i}.png")
    data = paired(tmp_path, max_unreadable=2, in_memory=not stream, workers=0, batch_size=6)
    attach(data)
    with pytest.raises(DataError, match="more than max_unreadable=2") as caught:
        first(data, 1)
    assert "  A/1.png: its partner B/1.png: " in str(caught.value)


def test_auto_chooses_workers_for_streams(tmp_path):
    data = paired(joint(tmp_path), memory_limit_mb=0, workers=None)
    attach(data)
    data.train_dataloader()
    assert data.workers == workers_for_files(1)
    data = paired(tmp_path, memory_limit_mb=0, workers=None, cache=True)
    attach(data)
    data.decode_once()
    data.train_dataloader()
    assert data.workers == 0


def test_halves_of_one_file_keep_their_own_channels(tmp_path):
    image = flat((*RED, 0), (40, 20), "RGBA")
    image.paste((*BLUE, 128), (20, 0, 40, 20))
    for i in range(3):
        save(tmp_path / f"{i}.png", image)
    data = paired(tmp_path, channels=4)
    assert data.inputs(1)[0, :, 0, 0].tolist() == [255, 255, 255]  # transparency, laid on white
    assert data.reals(1)[0][0, :, 0, 0].tolist() == [*BLUE, 128]
