"""Recipes that launches.py and on_gpu.py measure, at the sizes that are published.

Nothing is downloaded: digits and photographs come with scikit-learn, and fake images have the size
and the number of classes of the data sets that they stand for.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """A training to measure.

    Attributes:
        overrides: as on the command line.
        images: real images that a step shows to the discriminator, over all processes.
    """

    overrides: tuple[str, ...]
    images: int


def fake(size: int, classes: int, batch: int) -> list[str]:
    """Returns the overrides for fake color images."""
    return [
        "data=fake",
        f"data.image_size={size}",
        "data.channels=3",
        f"data.num_classes={classes}",
        f"data.batch_size={batch}",
    ]


def recipe(images: int, *overrides: str) -> Recipe:
    """Returns a recipe of overrides."""
    return Recipe(overrides, images)


RECIPES = {
    "dcgan digits 32": recipe(32, "model=dcgan", "data=digits"),
    "celeba/dcgan": recipe(128, "experiment=celeba/dcgan", *fake(64, 0, 128)),
    "wgan_gp digits 32": recipe(160, "model=wgan_gp", "data=digits"),
    "cifar10/sngan": recipe(320, "experiment=cifar10/sngan", *fake(32, 10, 64)),
    "cifar10/sagan": recipe(320, "experiment=cifar10/sagan", *fake(32, 10, 64)),
    "cifar10/biggan": recipe(200, "experiment=cifar10/biggan", *fake(32, 10, 50)),
    "cifar10/stylegan2_ada": recipe(
        64, "experiment=cifar10/stylegan2_ada", *fake(32, 10, 64), "augment.p=0.3"
    ),
    "stylegan2_ada_paper256, batch 8": recipe(
        8, "experiment=folder/stylegan2_ada_paper256", *fake(256, 0, 8), "augment.p=0.3"
    ),
    "cifar10/r3gan, batch 64": recipe(64, "experiment=cifar10/r3gan", *fake(32, 10, 64)),
    "cyclegan photos 64": recipe(1, "model=cyclegan", "data=photos_unpaired"),
    "pix2pix photos 64": recipe(1, "model=pix2pix", "data=photos_paired"),
}

# A training without anything but its steps: no scores, no grids, no checkpoint before its end.
STEPS_ONLY = [
    "logger=csv",
    "metrics=[]",
    "callbacks.samples.gif=false",
    "callbacks.samples.include_start=false",
    "callbacks.samples.every_n_steps=1000000",
    "callbacks.checkpoints.every_n_steps=1000000",
    "callbacks.progress.every_n_seconds=1000",
]
UNLOGGED = "trainer.log_every_n_steps=1000000"
