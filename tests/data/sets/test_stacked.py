from __future__ import annotations

import math

import pytest
import torch

from ganforge.data.sets.digits import Digits
from ganforge.data.sets.stacked import StackedDigits, StackedMNIST, StackedSource
from ganforge.data.source import MemorySource
from ganforge.errors import ConfigError
from tests.data.stand_in import attach, first


@pytest.fixture
def stacked():
    return StackedDigits(size=20_000, image_size=8, num_classes=1000)


def test_each_channel_is_a_digit_and_the_label_spells_them():
    digits = MemorySource(torch.arange(10, dtype=torch.uint8).view(10, 1, 1, 1), torch.arange(10))
    source = StackedSource(digits, torch.tensor([[4, 0, 7], [9, 9, 9]]), labelled=True)
    assert source.read(torch.tensor([1, 0])).flatten(1).tolist() == [[9, 9, 9], [4, 0, 7]]
    assert source.labels.tolist() == [407, 999]
    assert source.subset(torch.tensor([1])).labels.tolist() == [999]


def test_images_are_those_of_the_single_digits(stacked):
    images, labels = stacked.reals(50)
    assert images.shape == (50, 3, 8, 8)
    assert images.dtype == torch.uint8
    singles, names = Digits(image_size=8).reals(1500)
    known = {image.numpy().tobytes(): int(name) for image, name in zip(singles, names, strict=True)}
    for image, label in zip(images, labels.tolist(), strict=True):
        a, b, c = (known[channel.numpy().tobytes()] for channel in image)
        assert label == 100 * a + 10 * b + c


def test_all_modes_are_about_equally_likely(stacked):
    stacked.setup()
    labels = stacked.reals(20_000)[1]
    counts = torch.bincount(labels, minlength=1000).double()
    assert int((counts > 0).sum()) == 1000
    # Digits are not exactly a tenth each; the rest is the noise of 20 images a mode.
    assert float(counts.std()) == pytest.approx(math.sqrt(20), rel=0.15)


def test_splits_do_not_share_digits_and_are_always_the_same(stacked):
    stacked.setup()
    assert (stacked.size("train"), stacked.size("test")) == (20_000, 4_000)
    again = StackedDigits(size=20_000, image_size=8, seed=9)
    assert torch.equal(again.reals(20)[0], stacked.reals(20)[0])
    assert again.reals(20)[1] is None
    train = {channel.numpy().tobytes() for channel in stacked.reals(3000)[0].flatten(0, 1)}
    test = {channel.numpy().tobytes() for channel in stacked.reals(300, "test")[0].flatten(0, 1)}
    assert not train & test


def test_memory_holds_single_digits_and_a_table(stacked):
    stacked.setup()
    source = stacked._sources["train"]
    assert source.digits.images.shape == (1500, 1, 8, 8)
    assert source.table.shape == (20_000, 3)


def test_the_stream_resumes_exactly(stacked):
    module = attach(stacked)
    whole = first(stacked, 4)
    module.images_seen, module.iteration = 2 * 64, 2
    for batch, expected in zip(first(stacked, 2), whole[2:], strict=True):
        assert torch.equal(batch["image"], expected["image"])
        assert torch.equal(batch["label"], expected["label"])


def test_missing_mnist_is_reported_with_its_root(tmp_path):
    data = StackedMNIST(root=str(tmp_path))
    assert data.single.root == str(tmp_path)
    assert data.single.image_size == data.image_size == 32


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"channels": 1}, "channels=3, one per digit"),
        ({"num_classes": 10}, "num_classes must be 0 or 1000"),
        ({"size": 0}, "size must be an integer of at least 2, got 0"),
    ],
)
def test_unsuitable_settings_of_stacks_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        StackedDigits(**changes)
