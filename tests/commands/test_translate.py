"""`ganforge translate`: files with a network that turns colors over, then a trained run."""

from __future__ import annotations

import errno
import io
import os
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console
from torch import nn

from ganforge import atomic
from ganforge.commands import counting
from ganforge.commands import translate as translating
from ganforge.translate import translator as image_translator
from ganforge.translate.memory import SHARE, SLACK
from tests.commands.photos import damage, mixed, noise, pixels, written
from tests.data.drawings import GREEN, RED, encoded, flat, save


class Negative(nn.Module):
    """Turns every color over: 255 minus each byte."""

    multiple, smallest, stochastic = 4, 8, False

    def __init__(self, in_channels=3, out_channels=3):
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = out_channels

    def forward(self, images):
        assert not any(side % 4 or side < 8 for side in images.shape[2:])
        return -images.expand(-1, self.out_channels, -1, -1)


class StandIn(nn.Module):
    """A game that was never trained."""

    directions = ("BtoA", "AtoB")
    needs = frozenset({"inputs"})
    device = torch.device("cpu")

    def __init__(self, network):
        super().__init__()
        self.network = network
        self.asked = []
        self.limit = None

    def translator(self, direction=None, weights="ema"):
        return self.network

    def translate(self, inputs, direction=None, weights="ema", seed=0, start=0):
        if self.limit is not None and max(inputs.shape[2:]) > self.limit:
            raise torch.OutOfMemoryError("CUDA out of memory")
        self.asked.append((tuple(inputs.shape), direction, weights, seed, start))
        return self.network(inputs)


@pytest.fixture
def game(monkeypatch, tmp_path):
    """What every run is loaded as; ``game[0]`` may be put in another's place."""
    found = [StandIn(Negative())]
    monkeypatch.setattr(translating, "load", lambda *_: found[0])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "composed.yaml").write_text("")
    return found


@pytest.fixture
def translate(type_in):
    return lambda *arguments: type_in("translate", "run=run", *arguments)


def assert_negatives(out, truth):
    shared = {"twin.png": "twin.png.png", "twin.bmp": "twin.bmp.png"}
    for name, expected in truth.items():
        path = out / shared.get(name, name.rpartition(".")[0] + ".png")
        found = pixels(path)
        assert found.shape == expected.shape, name
        tolerance = 3 if name.endswith(".jpg") else 0
        assert np.abs(found - (255 - expected)).max() <= tolerance, name
    assert len(written(out)) == len(truth)


def test_a_folder_of_all_kinds_with_a_broken_one(game, translate, tmp_path):
    truth = mixed(tmp_path / "photos")
    damage(tmp_path / "photos")
    before = {name: (tmp_path / "photos" / name).read_bytes() for name in truth}
    typed = translate("input=photos", "out=drawings")
    assert typed.code == 1
    assert "1 of 13 images could not be translated:\n  broken.jpg: image file is" in typed.err
    assert "12 images, BtoA, seed 0: drawings" in typed.out
    assert_negatives(tmp_path / "drawings", truth)
    assert {name: (tmp_path / "photos" / name).read_bytes() for name in truth} == before
    # All again, in tiles: what is there is replaced.
    damaged = translate("input=photos", "out=drawings", "tile=12", "overlap=5")
    assert damaged.code == 1
    assert_negatives(tmp_path / "drawings", truth)


def test_a_zip(game, translate, tmp_path):
    data = encoded(Image.fromarray(noise(6, 9)))
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for name in ("a/b.png", "../outside.png", "/rooted.png", "__MACOSX/a/._b.png"):
            archive.writestr(name, data)
    assert translate("input=photos.zip", "out=new/drawings").code == 0
    out = tmp_path / "new" / "drawings"
    assert written(out) == ["a/b.png", "outside.png", "rooted.png"]
    np.testing.assert_array_equal(pixels(out / "a" / "b.png"), 255 - noise(6, 9).astype(int))
    inside = ["drawings/a/b.png", "drawings/outside.png", "drawings/rooted.png"]
    assert written(tmp_path / "new") == inside


def test_a_single_image(game, translate, tmp_path):
    save(tmp_path / "photo (1).webp", Image.fromarray(noise(6, 9)), lossless=True)
    typed = translate("input=photo (1).webp", "out=a=b, ü")
    assert (typed.code, typed.err) == (0, "")
    np.testing.assert_array_equal(
        pixels(tmp_path / "a=b, ü" / "photo (1).png"), 255 - noise(6, 9).astype(int)
    )


def test_without_an_out_it_is_in_the_run(game, translate, tmp_path):
    save(tmp_path / "photos" / "a.png", flat(RED))
    typed = translate("input=photos/", "direction=AtoB")
    assert typed.code == 0
    assert f"1 image, AtoB, seed 0: {tmp_path / 'run'}" in typed.out
    assert written(tmp_path / "run" / "translated") == ["photos-AtoB/a.png"]


def test_options_reach_the_model(game, translate, tmp_path):
    save(tmp_path / "photos" / "a.png", flat(RED, (5, 8)))
    save(tmp_path / "photos" / "b.png", flat(RED, (20, 9)))
    assert translate("input=photos", "out=x", "weights=raw", "direction=AtoB", "seed=7").code == 0
    asked = ("AtoB", "raw", 7, 0)  # whatever the order of the files
    assert game[0].asked == [((1, 3, 8, 8), *asked), ((1, 3, 12, 20), *asked)]


def test_networks_of_other_channels(game, translate, tmp_path):
    game[0] = StandIn(Negative(in_channels=1, out_channels=3))
    save(tmp_path / "green.png", flat(GREEN, (9, 9)))
    assert translate("input=green.png", "out=x").code == 0
    assert (pixels(tmp_path / "x" / "green.png") == 255 - 150).all()
    assert pixels(tmp_path / "x" / "green.png").shape == (9, 9, 3)
    game[0] = StandIn(Negative(in_channels=1, out_channels=1))
    assert translate("input=green.png", "out=x").code == 0
    assert Image.open(tmp_path / "x" / "green.png").mode == "L"


# ---------------------------------------------------------------------- memory


def test_images_are_cut_when_memory_is_short(game, translate, tmp_path, monkeypatch):
    save(tmp_path / "photos" / "a.png", Image.fromarray(noise(30, 50)))
    save(tmp_path / "photos" / "b.png", flat(RED, (12, 12)))
    # The network makes 12 bytes for each pixel of 12.
    free = 20**2 * 24 * SLACK / SHARE
    monkeypatch.setattr(image_translator, "free_bytes", lambda device: free)
    typed = translate("input=photos", "out=x")
    assert typed.code == 0
    assert "a.png: in tiles of 20, limited by memory" in typed.err
    assert "b.png" not in typed.err
    assert max(max(shape) for shape, *_ in game[0].asked) == 20
    assert [start for *_, start in game[0].asked] == [*range(len(game[0].asked) - 1), 0]
    np.testing.assert_array_equal(pixels(tmp_path / "x" / "a.png"), 255 - noise(30, 50).astype(int))


def test_tiles_shrink_until_they_fit(game, translate, tmp_path):
    save(tmp_path / "a.png", Image.fromarray(noise(30, 100)))
    game[0].limit = 16
    assert translate("input=a.png", "out=x").code == 0
    assert max(max(shape) for shape, *_ in game[0].asked) == 12
    found = pixels(tmp_path / "x" / "a.png")
    np.testing.assert_array_equal(found, 255 - noise(30, 100).astype(int))


def test_errors_of_a_network_are_not_blamed_on_the_image(game, translate, tmp_path):
    save(tmp_path / "a.png", flat(RED))
    game[0].network.in_channels = 1
    game[0].network.forward = lambda images: torch.zeros(2) @ torch.zeros(3)
    typed = translate("input=a.png", "out=x")
    assert typed.code == 1
    assert "RuntimeError" in typed.err


def test_a_requested_tile_is_not_changed(game, translate, tmp_path):
    save(tmp_path / "photos" / "large.png", Image.fromarray(noise(30, 100)))
    save(tmp_path / "photos" / "small.png", Image.fromarray(noise(9, 9)))
    game[0].limit = 16
    typed = translate("input=photos", "out=x", "tile=32")
    assert typed.code == 1
    assert "large.png: too large for the free memory, even in tiles of 32 pixels" in typed.err
    assert written(tmp_path / "x") == ["small.png"]


# ---------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "translate needs input=PATH: a folder, zip or image"),
        (["input=nowhere"], 1, "nowhere does not exist"),
        (["input=empty"], 1, "empty contains no images"),
        (["input=notes.txt"], 1, "notes.txt is not a zip or tar"),
        (["input=photos", "direction=AtoC"], 2, "translates only BtoA, AtoB"),
        (["input=photos", "weights=mean"], 2, "weights must be one of ema, raw; got 'mean'"),
        (["input=photos", "out=photos/new"], 2, "out=photos/new is inside input=photos"),
        (["input=photos", "out=notes.txt"], 2, "out=notes.txt is a file, not a folder"),
        (["input=photos/a.png", "out=photos"], 2, "would overwrite the input photos/a.png"),
        (["input=photos", "tile=10"], 2, "a multiple of 4, at least 8,"),
        (["input=photos", "tile=10"], 2, "or null; got 10. Use 8 or 12"),
        (["input=photos", "tile=4"], 2, "Use 8 or 12"),
        (["input=photos", "tile=0"], 2, "tile must be a multiple of 4"),
        (["input=photos", "tile=16", "overlap=9"], 2, "at least 0 and at most 8, half a tile"),
        (["input=photos", "overlap=-1"], 2, "overlap must be at least 0; got -1"),
        (["input=photos", "tile=big"], 2, "tile: must be a whole number or null, got 'big'"),
        (["input=photos", "n=3"], 2, "n: no such key; legal: run, log_dir"),
    ],
)
def test_invalid_arguments_are_rejected(game, translate, tmp_path, arguments, code, message):
    save(tmp_path / "photos" / "a.png", flat(RED))
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("notes")
    before = written(tmp_path)
    typed = translate(*arguments)
    assert typed.code == code, typed.err
    assert typed.err.startswith("ganforge: ")
    assert message in typed.err
    assert written(tmp_path) == before


def test_a_run_that_generates_from_noise_is_rejected(game, translate, tmp_path):
    game[0] = nn.Identity()
    save(tmp_path / "photos" / "a.png", flat(RED))
    typed = translate("input=photos", "out=x")
    assert typed.code == 2
    assert "Identity generates images from noise: use `ganforge sample run=" in typed.err


# ---------------------------------------------------------------------- ends before the end


def test_an_interruption_leaves_only_complete_files(game, translate, tmp_path, monkeypatch):
    for name in "abcd":
        save(tmp_path / "photos" / f"{name}.png", Image.fromarray(noise(20, 20)))
    kept = translating.save

    def interrupted(image, path, durable):
        if path.name == "c.png":
            raise KeyboardInterrupt
        kept(image, path, durable)

    monkeypatch.setattr(translating, "save", interrupted)
    typed = translate("input=photos", "out=x")
    assert typed.code == 130
    assert typed.err == "ganforge: interrupted: 2 of 4 images are complete in x\n"
    assert written(tmp_path / "x") == ["a.png", "b.png"]
    assert pixels(tmp_path / "x" / "b.png").shape == (20, 20, 3)


@pytest.mark.parametrize(
    ("number", "code", "message", "tried"),
    [
        (errno.ENOSPC, 1, "cannot write x/a.png: No space left on device", 1),
        (errno.ENAMETOOLONG, 1, "a.png: cannot be written to x/a.png: File name too long", 2),
    ],
)
def test_a_file_that_cannot_be_written(
    game, translate, tmp_path, monkeypatch, number, code, message, tried
):
    for name in "ab":
        save(tmp_path / "photos" / f"{name}.png", flat(RED))

    def full(path, data, durable):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(atomic, "write", full)
    typed = translate("input=photos", "out=x")
    assert typed.code == code
    assert message in typed.err
    assert len(game[0].asked) == tried


def test_readable_images_are_translated_despite_others(game, translate, tmp_path):
    long, odd = "x" * 245, "\x1b[2J"
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        for name in ("a.png", "a.png/b.png", "folder.png", f"{long}.png", f"{odd}.png", "z.png"):
            data = encoded(flat(RED), "PNG") if odd not in name else b"damaged"
            archive.writestr(name, data)
    (tmp_path / "x" / "folder.png").mkdir(parents=True)
    (tmp_path / "x" / "z.png").touch()
    typed = translate("input=in.zip", "out=x")
    assert typed.code == 1
    assert "3 of 6 images could not be translated" in typed.err
    assert "x: replaces 1 existing images" in typed.err
    for name in ("a.png/b.png", "folder.png", "\\x1b[2J.png"):
        assert f"  {name}: " in typed.err
    assert "\x1b" not in typed.err + typed.out
    assert written(tmp_path / "x") == ["a.png", f"{long}.png", "z.png"]


def test_a_folder_that_cannot_be_created_is_detected_first(game, translate, tmp_path):
    save(tmp_path / "photos" / "a.png", flat(RED))
    typed = translate("input=photos", "out=photos/a.png/x")
    assert typed.code == 2
    assert "cannot write to out=photos/a.png/x" in typed.err
    assert game[0].asked == []


def test_an_image_that_takes_long_says_so(caplog):
    crop = image_translator.log_duration(lambda image, index: image, 10**9, "a.png: 9 x 9")
    image_translator.log_duration(crop, 1, "b.png: 9 x 9")
    with caplog.at_level("INFO", "ganforge"):
        for index in range(2):
            crop(torch.zeros(3, 4, 4), index)
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("a.png: 9 x 9 pixels, 1000000000 tiles: about ")


def test_a_terminal_sees_how_many_are_done(monkeypatch):
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=True, width=80)
    monkeypatch.setattr(counting, "console", console)
    with counting.counting(3, "translated") as advance:
        for _ in range(2):
            advance()
    assert "2/3" in shown.getvalue()


def test_a_log_gets_a_line_now_and_then(monkeypatch, caplog):
    monkeypatch.setattr(counting, "EVERY_SECONDS", 0.0)
    monkeypatch.setattr(counting.logging.getLogger("ganforge"), "propagate", True)
    with caplog.at_level("INFO", "ganforge"), counting.counting(3, "translated") as advance:
        advance()
    assert {record.getMessage() for record in caplog.records} == {"translated 1/3"}
