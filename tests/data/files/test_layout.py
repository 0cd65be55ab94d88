import random

import pytest
import torch

from ganforge.data.files.layout import natural_key, read_former_layout, read_layout, shortened
from ganforge.data.source import holdout
from ganforge.errors import DataError

PETS = ["train/cat/0.png", "train/dog/0.png", "test/cat/1.png", "test/dog/1.png"]


def read(names, labels="auto", order=None):
    return read_layout(sorted(names), labels, order)


@pytest.mark.parametrize(
    ("siblings", "unused"),
    [
        ([], []),
        (["cover.png"], ["cover.png"]),
        (["samples/0.png", "samples/1.png"], ["samples/ (2 images)"]),
        (["val/cat/0.png"], ["val/ (1 image)"]),
        ([f"x{i}/0.png" for i in range(7)], [*(f"x{i}/ (1 image)" for i in range(5)), "2 more"]),
    ],
)
@pytest.mark.parametrize("above", ["", "pets/", "a/b/"])
def test_train_and_test_are_the_splits_regardless_of_siblings(siblings, unused, above):
    layout = read([above + name for name in PETS] + [above + name for name in siblings])
    assert layout.names["train"] == [f"{above}train/cat/0.png", f"{above}train/dog/0.png"]
    assert layout.names["test"] == [f"{above}test/cat/1.png", f"{above}test/dog/1.png"]
    assert layout.unused == [line if "more" in line else above + line for line in unused]
    assert (layout.classes, layout.labels["train"], layout.labels["test"]) == (
        ["cat", "dog"],
        [0, 1],
        [0, 1],
    )


def test_splits_can_be_deeper_than_their_siblings():
    layout = read([*(f"set/{name}" for name in PETS), "cover.png", "extra/a/0.png"])
    assert layout.names["train"] == ["set/train/cat/0.png", "set/train/dog/0.png"]
    assert layout.unused == ["cover.png", "extra/ (1 image)"]


@pytest.mark.parametrize(
    ("names", "train", "test", "classes"),
    [
        (["Train/a/0.png", "Train/b/0.png", "TEST/a/0.png"], 2, [0], ["a", "b"]),
        (["training/0.png", "training/1.png", "validation/0.png"], 2, None, []),
        (["train/i/a/0.png", "train/i/b/0.png", "test/i/b/0.png"], 2, [1], ["a", "b"]),
        (["train/a/0.png", "train/b/0.png", "test/i/b/0.png"], 2, [1], ["a", "b"]),
        (["a/train/0.png", "b/train/0.png", "a/val/0.png", "b/val/0.png"], 2, [0, 1], ["a", "b"]),
        (["train/a/0.png", "train/b/0.png", "samples/0.png"], 2, None, ["a", "b"]),
        (["train/0.png", "train/1.png", "cover.png"], 2, None, []),
        (["a/0.png", "b/0.png", "b/1.png"], 3, None, ["a", "b"]),
        (["test/train/0.png", "test/val/0.png"], 1, None, []),
        (["0.png"], 1, None, []),
    ],
)
def test_layouts(names, train, test, classes):
    layout = read(names)
    assert len(layout.names["train"]) == train
    assert (layout.labels["test"], layout.classes) == (test, classes)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["val/0.png", "test/0.png"], r"no train/ next to test/, val/"),
        (["cat/0.png", "dog/0.png", "test/0.png"], "no train/ next to test/"),
        (["bus/0.png", "car/0.png", "train/0.png"], "train/ is next to bus/, car/"),
        (["\x1b[2J/0.png", "car/0.png", "train/0.png"], r"train/ is next to \\x1b\[2J/, car/"),
        (["train/0.png", "Train/0.png", "test/0.png"], "several training folders"),
        (["train/0.png", "test/0.png", "Test/0.png"], "several test folders"),
        (["a/train/c/0.png", "a/test/c/0.png", "b/train/c/0.png", "b/val/c/0.png"], "a/, b/"),
        (
            ["a/train/0.png", "a/test/0.png", "b/train/0.png"],
            "several folders contain split folders",
        ),
        ([*PETS, "test/emu/0.png"], "class emu has no training image, only test images"),
    ],
)
def test_ambiguous_folders_are_refused(names, message):
    with pytest.raises(DataError, match=message):
        read(names)


def test_labels_true_makes_classes_of_folders_that_are_called_like_splits():
    assert read(["bus/0.png", "train/0.png"], labels=True).classes == ["bus", "train"]
    assert read(["valid/0.png", "invalid/0.png"], labels=True).classes == ["invalid", "valid"]


def test_labelled_test_images_are_preferred():
    unlabelled = ["train/cat/0.png", "train/dog/0.png", "test/0.png"]
    layout = read([*unlabelled, "val/cat/0.png"])
    assert layout.names["test"] == ["val/cat/0.png"]
    assert layout.unused == ["test/ (1 image)"]
    layout = read(unlabelled)
    assert (layout.classes, layout.labels) == (["cat", "dog"], {"train": [0, 1], "test": None})
    assert layout.remarks[0].startswith("no labels in test/")


@pytest.mark.parametrize(
    ("names", "remark"),
    [
        (
            ["a/0.png", "b/0.png", "c.png"],
            "no labels: 1 image not in a class folder, such as c.png",
        ),
        (["val/0.png", "val/1.png"], "no train/: training on the images of val/"),
        (["a/0.png", "b/0.png", "b/test/1.png"], "no train/ next to b/test/: training on 1 image"),
        (["a/0.png", "\n/0.png", "\n/test/1.png"], r"no train/ next to \n/test/: training on 1"),
    ],
)
def test_remarks_on_lost_labels_and_guessed_splits(names, remark):
    assert read(names).remarks[0].startswith(remark)


def test_classes_are_in_natural_order():
    names = ["10", "b2", "0", "b10", "9", "01", "1", "B", "b", "1a", "9" * 5000]
    expected = ["0", "01", "1", "1a", "9", "10", "9" * 5000, "B", "b", "b2", "b10"]
    random.Random(0).shuffle(names)
    assert sorted(names, key=natural_key) == expected
    layout = read([f"{i}/{i}.png" for i in range(12)])
    assert layout.classes == [str(i) for i in range(12)]
    labels = layout.labels["train"]
    assert [int(n.split("/")[0]) for n in layout.names["train"]] == labels


def test_a_configured_class_order_must_fit():
    names = ["a/0.png", "b/0.png"]
    assert read(names, order=["b", "a"]).labels["train"] == [1, 0]
    with pytest.raises(DataError, match="class c has no training image"):
        read(names, order=["a", "b", "c"])
    with pytest.raises(DataError, match=r"class folders b are not in data.class_names: a$"):
        read(names, order=["a"])


def test_runs_without_class_names_keep_their_splits_and_order():
    names = sorted([*PETS, "samples/0.png"])
    former = read_former_layout(names, "auto")
    assert (former.names, former.classes) == ({"train": names}, ["samples", "test", "train"])
    numbers = sorted(f"{i}/0.png" for i in range(12))
    former = read_former_layout(numbers, "auto")
    assert former.classes[:3] == ["0", "1", "10"]
    assert former.labels["train"] == [*range(12)]


def test_long_lists_of_classes_are_shortened():
    assert shortened(["a", "b"]) == "a, b"
    assert shortened([*"abcdefghij"]) == "a, b, c, d, e, f, g, h and 2 more (10 in all)"


def test_the_hold_out_leaves_each_class_an_image():
    labels = torch.tensor([0] * 10 + [1] + [2] + [3, 3] + [4] * 9)
    for count in range(1, 23):
        kept, test = holdout(labels, count, spare=True)
        assert labels[kept].bincount(minlength=5).min() > 0
        assert sorted([*kept.tolist(), *test.tolist()]) == [*range(len(labels))]
    emptied = [labels[holdout(labels, n)[0]].bincount(minlength=5).min() == 0 for n in range(23)]
    assert any(emptied)
