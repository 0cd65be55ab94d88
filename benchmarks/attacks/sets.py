"""Image sets with ambiguous layouts, labels or values; scores of unusual arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from attacks.bases import FLAT, FOLDER, FROM_FILES, NETS, RUN, STEPS, images
from attacks.probe import Outcome, Probe

Make = Callable[[Path], object]
CONDITIONAL = ["train", *FOLDER, "model=cgan", *NETS, *RUN, *STEPS]


def _classes(root: Path, **counts: int) -> None:
    for name, count in counts.items():
        images(root / name.replace("__", " "), count)


def _splits(add_other: Make) -> Make:
    def make(folder: Path) -> None:
        for split, count in (("train", 8), ("test", 4)):
            _classes(folder / "x" / split, cat=count // 2, dog=count // 2)
        add_other(folder / "x")

    return make


OTHERS: dict[str, Make] = {
    "nothing": lambda f: None,
    "samples/": lambda f: images(f / "samples", 3),
    "an image": lambda f: images(f, 1),
    "a text file": lambda f: (f / "README.txt").write_text("x"),
    "val/": lambda f: _classes(f / "val", cat=2, dog=2),
    "an unlabelled val/": lambda f: images(f / "val", 3),
    "unlabelled/": lambda f: images(f / "unlabelled", 5),
    ".cache/": lambda f: images(f / ".cache", 5),
    "__MACOSX/": lambda f: images(f / "__MACOSX" / "train" / "cat", 5),
    "a class only in test/": lambda f: images(f / "test" / "bird", 2),
}


def _values(dtype: type, low: float, high: float, suffix: str = "tif") -> Make:
    def make(folder: Path) -> None:
        (folder / "x").mkdir()
        ramp = np.linspace(low, high, 256).reshape(16, 16).astype(dtype)
        for i in range(8):
            Image.fromarray(np.roll(ramp, i, 0)).save(folder / "x" / f"{i}.{suffix}")

    return make


def _levels(folder: Path, outcome: Outcome) -> str | None:
    """Checks that a ramp reaches the discriminator as a ramp, unless the command rejected it."""
    if outcome.code != 0:
        return None
    (path,) = (folder / "logs" / "train").glob("2*/*/samples/reals.png")
    pixels = np.asarray(Image.open(path).convert("L"))
    low, high = int(pixels.min()), int(pixels.max())
    return None if high - low >= 200 else f"gray levels {low} to {high}, without a message"


VALUES: dict[str, Make] = {
    "8 bits": _values(np.uint8, 0, 255, "png"),
    "16 bits": _values(np.uint16, 0, 65535, "png"),
    "16 bits that hold 8": _values(np.uint16, 0, 255, "png"),
    "16 bits that hold 12": _values(np.uint16, 0, 4095),
    "16 bits, high offset": _values(np.uint16, 60000, 65535),
    "32 bits that hold 20": _values(np.int32, 0, 2**20),
    "32 bits, negative": _values(np.int32, -1000, 1000),
    "float, 0 to 1": _values(np.float32, 0, 1),
    "float, -1 to 1": _values(np.float32, -1, 1),
    "float, 0 to 1e6": _values(np.float32, 0, 1e6),
}


def _odd_floats(value: float) -> Make:
    def make(folder: Path) -> None:
        _values(np.float32, 0, 1)(folder)
        pixels = np.full((16, 16), value, np.float32)
        Image.fromarray(pixels).save(folder / "x" / "odd.tif")

    return make


def _arrays(**arrays: np.ndarray) -> Make:
    def make(folder: Path) -> None:
        images(folder / "sound", 8)
        np.savez(folder / "x.npz", **arrays)  # type: ignore[arg-type]

    return make


def _pixels(shape: tuple[int, ...], dtype: type = np.uint8) -> np.ndarray:
    return np.arange(int(np.prod(shape))).reshape(shape).astype(dtype)


ARRAYS: dict[str, Make] = {
    "of no images": _arrays(images=_pixels((0, 16, 16, 1))),
    "of one image": _arrays(images=_pixels((1, 16, 16, 1))),
    "of floats": _arrays(images=_pixels((8, 16, 16, 1), np.float32)),
    "of objects": _arrays(images=np.array([None, 1], dtype=object)),
    "of five dimensions": _arrays(images=_pixels((2, 2, 16, 16, 1))),
    "of another name": _arrays(pictures=_pixels((8, 16, 16, 1))),
    "of nothing": _arrays(),
    "of mu only": _arrays(mu=np.zeros(8)),
    "of mu and sigma of different sizes": _arrays(mu=np.zeros(8), sigma=np.eye(9)),
    "of mu with NaN": _arrays(mu=np.full(8, np.nan), sigma=np.eye(8)),
    "of a sigma that is not a covariance": _arrays(mu=np.zeros(8), sigma=-np.eye(8)),
}


def probes() -> Iterator[Probe]:
    """Yields the probes."""
    for name, add_other in OTHERS.items():
        right = (1, 2) if "only in test" in name else (0,)
        yield Probe(
            "layouts",
            f"train/ and test/ next to {name}",
            [*FROM_FILES, "data.path=x"],
            _splits(add_other),
            (0, *right),
            says=None if "only in test" in name else "folder, 8 images",
        )
        yield Probe(
            "layouts",
            f"train/ and test/ next to {name}, conditional",
            [*CONDITIONAL, "data.path=x"],
            _splits(add_other),
            right,
            says=None if "only in test" in name else r"cat.*dog",
        )
    for counts in ({"a": 9, "b": 1}, {"a": 1, "b": 1, "c": 8}, {"a": 10, "b": 2}):
        yield Probe(
            "layouts",
            f"classes of {counts}",
            [*CONDITIONAL, "data.path=x"],
            lambda folder, counts=counts: _classes(folder / "x", **counts),
            (0, 1, 2),
            says=None,
        )
    for name, make in VALUES.items():
        yield Probe("values", name, [*FROM_FILES, "data.path=x", "data.labels=false"], make, (0, 1),
                    check=_levels)  # fmt: skip
    for value in (float("nan"), float("inf"), -float("inf")):
        yield Probe("values", f"an image of {value}", [*FROM_FILES, "data.path=x"],
                    _odd_floats(value), (0, 1), says="nan|inf|finite|unreadable")  # fmt: skip
    for name, make in ARRAYS.items():
        yield Probe(
            "scores",
            f"an array {name}",
            ["evaluate", "fake=x.npz", "real=sound", "metrics=[fid]", "image_size=16", *FLAT],
            make,
        )
