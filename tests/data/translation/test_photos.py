import pytest
import torch
from sklearn.datasets import load_sample_images

from ganforge.data.files.bundled import photograph
from ganforge.data.translation.photos import (
    GAP,
    PairedPhotos,
    UnpairedPhotos,
    columns,
    edges,
    grid,
    photo,
)
from ganforge.errors import ConfigError
from tests.data.stand_in import attach, first, joined


def photos():
    return [torch.from_numpy(p.copy()).permute(2, 0, 1) for p in load_sample_images().images]


# ---------------------------------------------------------------------- edges


def test_a_flat_image_has_no_edges():
    assert (edges(torch.full((2, 3, 8, 8), 77, dtype=torch.uint8)) == 255).all()


def test_a_step_is_drawn_by_sobels_numbers():
    image = torch.zeros(1, 1, 5, 6, dtype=torch.uint8)
    image[..., 3:] = 40
    drawn = edges(image)[0, 0]
    # On both sides of the step: 4 * 40 in x, nothing in y, at a gain of 1/2; borders replicate.
    assert drawn.unique(dim=0).tolist() == [[255, 255, 175, 175, 255, 255]]
    assert torch.equal(edges(image.transpose(2, 3))[0, 0], drawn.T)
    image[..., 3:] = 255
    assert edges(image)[0, 0, 0].tolist() == [255, 255, 0, 0, 255, 255]


def test_edges_of_a_corner():
    image = torch.zeros(1, 1, 4, 4, dtype=torch.uint8)
    image[..., 2:, 2:] = 16
    # At (1, 1): 16 in x and in y, length 22.6, drawn with 11.3.
    assert edges(image)[0, 0, 1, 1] == 255 - 11


def test_edges_mirror_with_the_image():
    photo = photos()[0][None, :, 100:150, 100:171]
    assert torch.equal(edges(photo.flip(-1)), edges(photo).flip(-1))


# ---------------------------------------------------------------------- paired


def test_training_windows_are_outside_and_test_windows_inside_of_the_held_out_columns():
    """At full scale every window can be found again, pixel by pixel."""
    data = PairedPhotos(scale=1.0)
    data.setup()
    parts = columns(640, 0.425)
    assert parts["train"] == [range(176), range(328, 496)]
    assert parts["test"] == [range(184, 320), range(504, 640)]
    whole = photos()
    for split in ("train", "test"):
        source = data._sources[split].source
        picked = torch.randint(len(source), (20,), generator=torch.Generator().manual_seed(0))
        images = source.read(picked)[:, 1:]
        for image, (which, row, column) in zip(images, source.origins[picked], strict=True):
            assert torch.equal(image, whole[which][:, row : row + 64, column : column + 64])
        lefts = source.origins[:, 2]
        inside = [(part.start <= lefts) & (lefts + 64 <= part.stop) for part in parts[split]]
        assert (inside[0] ^ inside[1]).all()
        assert all(one.any() for one in inside)
    for trained, held_out in zip(parts["train"], parts["test"], strict=True):
        assert trained.stop + GAP == held_out.start
    assert parts["test"][0].stop + GAP == parts["train"][1].start
    origins = data._sources["train"].source.origins
    lefts = (176 - 63) + (496 - 328 - 63)
    assert origins[:, 0].bincount().tolist() == [(427 - 63) * lefts] * 2


def test_no_training_window_knows_a_pixel_of_a_test_window_scaled_and_drawn(monkeypatch):
    before = PairedPhotos(max_images=300)
    before.setup()

    def painted(name):
        pixels = photograph(name).copy()
        for part in columns(640, 0.425)["test"]:
            pixels[:, part.start : part.stop] = 0
        return pixels

    monkeypatch.setattr("ganforge.data.translation.photos.photograph", painted)
    after = PairedPhotos(max_images=300)
    for read in ("inputs", "reals"):
        ours, theirs = getattr(before, read)(300), getattr(after, read)(300)
        assert torch.equal(*(one if read == "inputs" else one[0] for one in (ours, theirs)))
    assert after.reals(300, "test")[0][..., 4:-4].max() == 0


def test_an_epoch_shows_every_window_once():
    data = PairedPhotos(max_images=40, batch_size=20, mirror=False)
    attach(data)
    for epoch in range(2):
        shown = joined(first(data, 4)[2 * epoch : 2 * epoch + 2])
        expected = data.reals(40)[0]
        assert sorted(shown.flatten(1).tolist()) == sorted(expected.flatten(1).tolist())


def test_grid_counts_and_orders_windows():
    photo = torch.zeros(2, 3, 10, 12)
    found = grid(photo, range(0, 3, 2), [0, 2, 4])
    assert found.tolist()[:4] == [[0, 0, 0], [0, 0, 2], [0, 0, 4], [0, 2, 0]]
    assert len(found) == 2 * 2 * 3


@pytest.mark.parametrize("task", ["edges", "grey"])
def test_inputs_belong_to_their_photographs(task):
    data = PairedPhotos(task=task)
    assert (data.gives, data.input_channels, data.channels) == ({"inputs", "pairs"}, 1, 3)
    assert data.size("train") == 2 * 151 * (21 + 13)
    assert data.size("test") == data.input_size("test") == 2 * 38 * 4
    for split in ("train", "test"):
        left, right = data.inputs(6, split), data.reals(6, split)[0]
        assert left.shape == (6, 1, 64, 64)
        if task == "edges":
            inner = edges(right)[..., 1:-1, 1:-1]  # a window's border has neighbors outside
            assert torch.equal(left[..., 1:-1, 1:-1], inner)
        else:
            weights = torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)
            assert (left - (right * weights).sum(1, keepdim=True)).abs().max() <= 0.51


def test_a_single_photograph():
    data = PairedPhotos(["flower"])
    assert data.size("train") == 151 * (21 + 13)
    assert torch.equal(
        data._domains["target"]._sources["test"].source.photos[:, 1:], photo("flower", 0.5)
    )


def test_a_pair_has_one_window_and_flip():
    data = PairedPhotos(task="grey", batch_size=64)
    attach(data)
    (batch,) = first(data, 1)
    luma = (batch["image"] * torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(1, True)
    assert (batch["input"] - luma).abs().max() <= 0.51
    plain = PairedPhotos(task="grey", batch_size=64, mirror=False)
    attach(plain)
    flipped = (first(plain, 1)[0]["image"] != batch["image"]).flatten(1).any(1)
    assert 20 < flipped.sum() < 44


def test_photos_can_be_turned_into_drawings():
    there = PairedPhotos()
    back = PairedPhotos(direction="BtoA", input_channels=3, channels=1)
    assert torch.equal(there.inputs(3), back.reals(3)[0])
    assert torch.equal(there.reals(3)[0], back.inputs(3))


# ---------------------------------------------------------------------- unpaired


def test_the_domains_are_the_two_photographs():
    data = UnpairedPhotos()
    assert data.gives == {"inputs"}
    assert data.size("train") == data.input_size("train") == 151 * (21 + 13)
    assert data.size("test") == data.input_size("test") == 38 * 4
    temple, flower = (photo(name, 0.5) for name in ("china", "flower"))
    assert torch.equal(data._domains["input"]._sources["train"].source.photos, temple)
    assert torch.equal(data._domains["target"]._sources["test"].source.photos, flower)
    swapped = UnpairedPhotos(direction="BtoA")
    assert torch.equal(swapped.inputs(4), data.reals(4)[0])


@pytest.mark.parametrize("make", [PairedPhotos, UnpairedPhotos])
def test_a_position_alone_decides(make):
    small = {"image_size": 16, "scale": 0.25, "seed": 5}
    data, other = make(batch_size=6, **small), make(batch_size=3, workers=1, **small)
    attach(data)
    attach(other)
    expected, served = first(data, 2), first(other, 4)
    for key in ("input", "image"):
        assert torch.equal(joined(served, key), joined(expected, key))
    attach(data, images_seen=6, iteration=1)
    assert torch.equal(first(data, 1)[0]["input"], expected[1]["input"])
    attach(data, rank=1, world=2)
    assert torch.equal(first(data, 1)[0]["image"], expected[0]["image"][1::2])


# ---------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scale": 0}, "scale must be above 0 and at most 1, got 0"),
        ({"holdout": 0}, "holdout must be above 0 and at most 0.8"),
        ({"channels": 4}, "channels and input_channels of 1 or 3"),
        ({"photos": ["temple"]}, "photos must be a list of china, flower, got .*temple"),
        ({"task": "depth"}, "task must be one of edges, grey, got 'depth'"),
    ],
)
def test_bad_arguments_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        PairedPhotos(**changes)


def test_windows_that_do_not_fit_are_refused():
    with pytest.raises(
        ConfigError,
        match=r"128 does not fit into the train part.*214 rows and 84 and 76 columns",
    ):
        PairedPhotos(image_size=128).setup()
    data = PairedPhotos(image_size=128, scale=1.0)
    assert data.inputs(1, "test").shape == (1, 1, 128, 128)
