from __future__ import annotations

import math

import torch

from ganforge.data.mixture import Mixture
from ganforge.data.points import PointData


class Ring8(PointData):
    """Eight Gaussians on a circle of radius 1: the 2D-ring of VEEGAN and PacGAN.

    Srivastava et al. 2017, arXiv:1705.07761; Lin et al. 2018, arXiv:1712.04086.

    Args:
        sigma: standard deviation of each Gaussian, for the radius 1.
        size: number of training points.
        name: what runs and tables call the data set.
        image_size: 1.
        channels: 2, the coordinates.
        num_classes: 8, the modes; 0 for points without labels.
        batch_size: points of one critic update, over all processes.
        workers: loader processes; 0 is the quickest.
        seed: the run's seed.
        mirror: false.
        max_images: train on that many points only.
    """

    def __init__(
        self,
        sigma: float = 0.01,
        size: int = 100_000,
        name: str = "ring8",
        image_size: int = 1,
        channels: int = 2,
        num_classes: int = 8,
        batch_size: int = 128,
        workers: int = 0,
        seed: int = 0,
        mirror: bool = False,
        max_images: int | None = None,
    ) -> None:
        angles = torch.arange(8, dtype=torch.float64) * (math.pi / 4)
        centres = torch.stack([angles.cos(), angles.sin()], dim=1).float()
        super().__init__(
            name=name,
            mixture=Mixture(centres, sigma),
            size=size,
            image_size=image_size,
            channels=channels,
            num_classes=num_classes,
            batch_size=batch_size,
            workers=workers,
            seed=seed,
            mirror=mirror,
            max_images=max_images,
        )
