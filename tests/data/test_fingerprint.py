"""Edits of any image change the fingerprint, also of one outside of the decoded sample."""

import os
import tarfile
import zipfile

import pytest
import torch

from ganforge.data import reals
from ganforge.data.order import fixed_order
from ganforge.data.sets.fake import FakeImages
from ganforge.data.sets.folder import ImageFolder
from ganforge.data.sets.stacked import StackedDigits
from ganforge.data.source import hash_of
from ganforge.data.translation.own import PairedImages
from ganforge.data.translation.photos import PairedPhotos
from tests.data.atlas import atlas
from tests.data.drawings import flat, save

SAMPLE = 6
COUNT = SAMPLE + 4
UNSEEN = int(fixed_order(COUNT)[-1])  # index of an image outside of the sample


@pytest.fixture(autouse=True)
def small_sample(monkeypatch):
    monkeypatch.setattr(reals, "SAMPLE", SAMPLE)


def paint(root, edited=None):
    for i in range(COUNT):
        path = root / "images" / f"{i:03}.png"
        save(path, flat((i, 10, 20 + (i == edited)), (8, 8)))
        os.utime(path, ns=(10**18, 10**18 + (i == edited)))
    return root / "images"


def folder(path, in_memory):
    data = ImageFolder(str(path), image_size=8, batch_size=4, holdout=0, in_memory=in_memory)
    return data.fingerprint()


def unpacked(root, path):
    return root


def zipped(root, path):
    with zipfile.ZipFile(path, "w") as archive:
        for image in sorted(root.iterdir()):
            archive.write(image, image.name)
    return path


def tarred(root, path):
    with tarfile.open(path, "w") as archive:
        archive.add(root, "images")
    return path


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize("pack", [unpacked, zipped, tarred])
def test_an_image_that_is_not_in_the_sample_counts_too(tmp_path, pack, in_memory):
    roots = [paint(tmp_path / str(k), edited) for k, edited in enumerate([None, UNSEEN, None])]
    prints = [folder(pack(root, root.parent / "pack"), in_memory) for root in roots]
    assert prints[0] == prints[2] != prints[1]


def test_every_byte_and_label_in_memory_counts():
    def data():
        images = FakeImages(size=COUNT, image_size=4, num_classes=5, batch_size=4)
        images.setup()
        return images, images._sources["train"]

    plain, _ = data()
    dotted, source = data()
    source.images[UNSEEN, 0, 3, 3] ^= 1
    renamed, source = data()
    source.labels[UNSEEN] = (source.labels[UNSEEN] + 1) % 5
    assert len({one.fingerprint() for one in (plain, dotted, renamed)}) == 3
    assert plain.fingerprint() == data()[0].fingerprint()


def test_both_images_of_a_pair_count(tmp_path):
    def fingerprint():
        data = PairedImages(
            str(tmp_path), image_size=8, load_size=8, batch_size=1, in_memory=False, holdout=0
        )
        return data.fingerprint(), data.domain("input").fingerprint()

    for i in range(COUNT):
        save(tmp_path / "A" / f"{i:03}.png", atlas(1))
        save(tmp_path / "B" / f"{i:03}.png", atlas(2))
    before = fingerprint()
    os.utime(tmp_path / "B" / f"{UNSEEN:03}.png", ns=(1, 1))
    after = fingerprint()
    assert before[0] != after[0]
    assert before[1] != after[1]


def test_fingerprints_of_composed_images_cover_their_parts():
    def stacked(**changes):
        return StackedDigits(**{"size": 100, "image_size": 8, **changes}).fingerprint()

    assert stacked() == stacked(seed=4) != stacked(size=101)
    assert len({stacked(), StackedDigits(size=100, image_size=8).fingerprint("test")}) == 2
    small = {"scale": 0.25, "image_size": 16}
    prints = [PairedPhotos(holdout=s, **small).fingerprint() for s in (0.425, 0.425, 0.45)]
    assert prints[0] == prints[1] != prints[2]


def test_hashes_distinguish_values_types_and_borders():
    ones = torch.ones(2, 3)
    alike = [(ones,), (ones.double(),), (ones.T,), (ones.flatten(),), (ones, ones), ("ab", "c")]
    alike += [("a", "bc"), ("a", None, "bc"), (torch.zeros(0),), ()]
    assert len({hash_of(*parts) for parts in alike}) == len(alike)
    assert hash_of(ones.T) == hash_of(ones.T.contiguous())
