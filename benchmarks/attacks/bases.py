"""Small valid runs and image sets that the probes start from."""

from __future__ import annotations

import atexit
import functools
import io
import shutil
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from attacks.probe import command

NETS = ["network=mlp", "network.generator.hidden=[8]", "network.discriminator.hidden=[8]"]
GAME = ["model=gan", *NETS]
RUN = [
    "trainer=cpu",
    "trainer.precision=32-true",
    "metrics=[]",
    "logger=csv",
    "callbacks.samples.count=4",
    "callbacks.checkpoints.every_n_steps=1",
    "trainer.log_every_n_steps=1",
]
STEPS = ["trainer.max_steps=3"]
FAKE = [
    "data=fake",
    "data.size=16",
    "data.batch_size=4",
    "data.image_size=16",
    "data.channels=1",
]
FOLDER = ["data=folder", "data.image_size=16", "data.batch_size=4", "data.channels=1"]
FLAT = ["features=module", "features.module=torch.nn.Flatten", "features.size=8"]
TRAIN = ["train", *FAKE, *GAME, *RUN, *STEPS]
FROM_FILES = ["train", *FOLDER, *GAME, *RUN, *STEPS]
TRANSLATION = [
    "model=pix2pix",
    "data=photos_paired",
    "data.scale=0.25",
    "data.image_size=32",
    "data.batch_size=4",
    "data.max_images=24",
    "network.generator.width=2",
    "network.discriminator.width=2",
]


@functools.cache
def _root() -> Path:
    root = Path(tempfile.mkdtemp(prefix="ganforge-attack-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    return root


@functools.cache
def trained(*arguments: str) -> Path:
    """Trains with these arguments and returns the run folder."""
    root = _root() / f"base{len(list(_root().iterdir()))}"
    root.mkdir()
    outcome = command(["train", *arguments, "run_dir=run"], root, 300)
    if outcome.code != 0:
        raise RuntimeError(outcome.output)
    return root / "run"


def gan() -> Path:
    """Returns the folder of a run of three steps on fake images."""
    return trained(*FAKE, *GAME, *RUN, *STEPS)


def translation() -> Path:
    """Returns the run folder of a translation model."""
    return trained(*TRANSLATION, *RUN, *STEPS)


def png(value: int = 100, size: tuple[int, int] = (16, 16), mode: str = "L") -> bytes:
    """Returns an encoded ramp from 0 to ``value``."""
    ramp = np.linspace(0, value, size[0] * size[1]).reshape(size[1], size[0]).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(ramp).convert(mode).save(buffer, "PNG")
    return buffer.getvalue()


def images(folder: Path, count: int = 8, name: str = "{}.png") -> Path:
    """Writes valid images into a folder and returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        (folder / name.format(i)).write_bytes(png(120 + i))
    return folder
